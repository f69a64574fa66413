#include "management/rest/routes.h"

#include "base/assert.h"

#include <algorithm>

namespace nb::management::rest {
namespace {

std::vector<std::string_view> segments(std::string_view path) {
  std::vector<std::string_view> out;
  while (!path.empty()) {
    path.remove_prefix(1);  // the slash
    const auto end = std::min(path.find('/'), path.size());
    out.push_back(path.substr(0, end));
    path.remove_prefix(end);
  }
  return out;
}

bool is_parameter(std::string_view segment) {
  return segment.size() > 2 && segment.front() == '{' && segment.back() == '}';
}

/// The number of literal segments that fit, or nothing if the path does not.
std::optional<int> fit(const std::vector<std::string>& parts,
                       const std::vector<std::string_view>& wanted,
                       std::vector<std::string>& params) {
  if (parts.size() != wanted.size()) return {};
  int literals = 0;
  params.clear();
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (is_parameter(parts[i])) {
      if (wanted[i].empty()) return {};
      params.emplace_back(wanted[i]);
    } else if (parts[i] == wanted[i]) {
      ++literals;
    } else {
      return {};
    }
  }
  return literals;
}

}  // namespace

void RouteTable::add(std::string method, std::string path, std::initializer_list<Need> needs,
                     Handler handler) {
  add(std::move(method), std::move(path), Access::kSigned, std::move(handler));
  routes_.back().needs = needs;
}

void RouteTable::add(std::string method, std::string path, Access access, Handler handler) {
  NB_ASSERT(path.starts_with("/api"));
  Route route{.method = std::move(method),
              .path = std::move(path),
              .access = access,
              .handler = std::move(handler)};
  for (const std::string_view part : segments(route.path)) route.parts.emplace_back(part);
  route.label = route.path;
  std::erase_if(route.label, [](char c) { return c == '{' || c == '}'; });
  routes_.push_back(std::move(route));
}

std::optional<RouteTable::Match> RouteTable::find(std::string_view method,
                                                  std::string_view path) const {
  if (!path.starts_with('/')) return {};
  const auto wanted = segments(path);
  std::optional<Match> best;
  int best_score = -1;
  std::vector<std::string> params;
  for (const Route& route : routes_) {
    const auto literals = fit(route.parts, wanted, params);
    if (!literals) continue;
    const bool method_fits = route.method == method;
    // A fitting method first: two kinds of parameter may share one shape of path.
    const int score = *literals + (method_fits ? 100 : 0);
    if (score <= best_score) continue;
    best_score = score;
    best = Match{method_fits ? &route : nullptr, params};
  }
  return best;
}

std::optional<std::string> cleaned(std::string_view path) {
  if (path.find("//") == path.npos && path.find("/.") == path.npos) return {};
  std::vector<std::string_view> kept;
  bool changed = false;
  const auto parts = segments(path);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const bool last = i + 1 == parts.size();
    if (parts[i] == "." || (parts[i].empty() && !last)) {
      changed = true;
    } else if (parts[i] == "..") {
      changed = true;
      if (!kept.empty()) kept.pop_back();
    } else {
      kept.push_back(parts[i]);
    }
  }
  if (!changed) return {};
  std::string out;
  for (const std::string_view part : kept) out.append("/").append(part);
  return out.empty() ? "/" : out;
}

}  // namespace nb::management::rest
