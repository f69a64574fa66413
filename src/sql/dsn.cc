#include "sql/dsn.h"

#include <libpq-fe.h>

#include <algorithm>
#include <memory>
#include <set>

namespace nb::sql {
namespace {

struct FreeOptions {
  void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};
using Options = std::unique_ptr<PQconninfoOption, FreeOptions>;

const std::set<std::string, std::less<>>& known_keywords() {
  static const std::set<std::string, std::less<>> kKnown = [] {
    std::set<std::string, std::less<>> out;
    const Options defaults(PQconndefaults());
    for (auto* o = defaults.get(); o != nullptr && o->keyword != nullptr; ++o)
      out.insert(o->keyword);
    return out;
  }();
  return kKnown;
}

// Upstream's driver takes session settings ("TimeZone=…") and its own knobs among the parameters;
// libpq refuses them. Ours are fixed, so they are left out.
std::string without_unknown_query(std::string_view url) {
  const auto mark = url.find('?');
  if (mark == url.npos) return std::string(url);
  std::string out(url.substr(0, mark));
  std::string_view rest = url.substr(mark + 1);
  char separator = '?';
  while (!rest.empty()) {
    const auto end = rest.find('&');
    const std::string_view item = rest.substr(0, end);
    rest = end == rest.npos ? std::string_view{} : rest.substr(end + 1);
    const std::string_view key = item.substr(0, item.find('='));
    if (!known_keywords().contains(key) && key != "ssl") continue;
    out.push_back(separator);
    out.append(item);
    separator = '&';
  }
  return out;
}

struct Assignment {
  std::string key;
  std::string value;
};

// key = value, 'quoted value', backslash escapes; libpq's own rules.
bool take_assignment(std::string_view& rest, Assignment& out) {
  constexpr std::string_view kBlank = " \t\r\n";
  const auto equals = rest.find('=');
  if (equals == rest.npos) return false;
  std::string_view key = rest.substr(0, equals);
  while (!key.empty() && kBlank.find(key.back()) != kBlank.npos) key.remove_suffix(1);
  if (key.empty() || key.find_first_of(kBlank) != key.npos) return false;
  rest.remove_prefix(equals + 1);
  rest.remove_prefix(std::min(rest.find_first_not_of(kBlank), rest.size()));
  const bool quoted = rest.starts_with('\'');
  if (quoted) rest.remove_prefix(1);
  out = {std::string(key), {}};
  bool closed = !quoted;
  while (!rest.empty()) {
    char c = rest.front();
    if (!quoted && kBlank.find(c) != kBlank.npos) break;
    rest.remove_prefix(1);
    if (quoted && c == '\'') {
      closed = true;
      break;
    }
    if (c == '\\') {
      if (rest.empty()) return false;
      c = rest.front();
      rest.remove_prefix(1);
    }
    out.value.push_back(c);
  }
  return closed;
}

Result<Dsn> from_options(const PQconninfoOption* options) {
  Dsn dsn;
  dsn.engine = Engine::kPostgres;
  for (auto* o = options; o != nullptr && o->keyword != nullptr; ++o) {
    if (o->val == nullptr) continue;
    if (std::string_view(o->keyword) == "password")
      dsn.password = Secret(o->val);
    else
      dsn.parameters.emplace_back(o->keyword, o->val);
  }
  return dsn;
}

std::string_view parameter(const Dsn& dsn, std::string_view key) {
  for (const auto& [name, value] : dsn.parameters)
    if (name == key) return value;
  return {};
}

}  // namespace

Result<Dsn> Dsn::postgres(std::string_view text) {
  if (text.find('\0') != text.npos) return fail(Code::kInvalidArgument, "PostgreSQL DSN: NUL byte");
  if (text.starts_with("postgres://") || text.starts_with("postgresql://")) {
    char* error = nullptr;
    const Options parsed(PQconninfoParse(without_unknown_query(text).c_str(), &error));
    PQfreemem(error);  // may hold the password
    if (!parsed) return fail(Code::kInvalidArgument, "PostgreSQL DSN: not a valid URL");
    return from_options(parsed.get());
  }
  Dsn dsn;
  dsn.engine = Engine::kPostgres;
  std::string_view rest = text;
  for (;;) {
    rest.remove_prefix(std::min(rest.find_first_not_of(" \t\r\n"), rest.size()));
    if (rest.empty()) break;
    Assignment item;
    if (!take_assignment(rest, item))
      return fail(Code::kInvalidArgument,
                  "PostgreSQL DSN: neither a URL (postgres://…) nor a list of key=value");
    if (item.key == "password")
      dsn.password = Secret(std::move(item.value));
    else if (known_keywords().contains(item.key))
      dsn.parameters.emplace_back(std::move(item.key), std::move(item.value));
  }
  if (dsn.parameters.empty()) return fail(Code::kInvalidArgument, "PostgreSQL DSN: empty");
  return dsn;
}

Result<Dsn> Dsn::sqlite(std::string_view file) {
  if (file.starts_with("file:")) file.remove_prefix(5);
  file = file.substr(0, file.find('?'));
  if (file.empty()) return fail(Code::kInvalidArgument, "SQLite file: empty name");
  if (file == ":memory:")
    return fail(Code::kInvalidArgument,
                "SQLite file ':memory:': each connection would see its own");
  if (file.find('\0') != file.npos) return fail(Code::kInvalidArgument, "SQLite file: NUL byte");
  Dsn dsn;
  dsn.engine = Engine::kSqlite;
  dsn.file = file;
  return dsn;
}

std::string Dsn::describe() const {
  if (engine == Engine::kSqlite) return "sqlite " + file;
  const std::string_view host = parameter(*this, "host");
  const std::string_view port = parameter(*this, "port");
  const std::string_view name = parameter(*this, "dbname");
  return fmt::format("postgres {}:{}/{}", host.empty() ? "local" : host,
                     port.empty() ? "5432" : port, name);
}

}  // namespace nb::sql
