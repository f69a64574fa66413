#include "base/metrics.h"

#include <fmt/format.h>
#include <prometheus/metric_family.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace nb {

namespace {
using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

constexpr std::string_view kText = "text/plain; version=0.0.4; charset=utf-8";
constexpr std::string_view kOpenMetrics =
    "application/openmetrics-text; version=1.0.0; charset=utf-8";

std::string_view type_name(MetricType type) {
  switch (type) {
    case MetricType::Counter:
      return "counter";
    case MetricType::Gauge:
      return "gauge";
    case MetricType::Histogram:
      return "histogram";
    case MetricType::Summary:
      return "summary";
    default:
      return "untyped";
  }
}

std::string number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", value);
}

void append_escaped(std::string& out, std::string_view text, bool quotes) {
  for (const char c : text) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"' && quotes) {
      out += "\\\"";
    } else {
      out += c;
    }
  }
}

struct Writer {
  bool open_metrics = false;
  std::string out{};

  void line(std::string_view name, std::string_view suffix,
            const std::vector<ClientMetric::Label>& labels, std::string_view extra_name,
            std::string_view extra_value, std::string_view value) {
    out.append(name).append(suffix);
    if (!labels.empty() || !extra_name.empty()) {
      char before = '{';
      const auto label = [&](std::string_view key, std::string_view text) {
        out += before;
        before = ',';
        out.append(key).append("=\"");
        append_escaped(out, text, true);
        out += '"';
      };
      for (const auto& l : labels) label(l.name, l.value);
      if (!extra_name.empty()) label(extra_name, extra_value);
      out += '}';
    }
    out.append(" ").append(value).append("\n");
  }

  void head(const MetricFamily& family, std::string_view name) {
    if (!family.help.empty()) {
      out.append("# HELP ").append(name).append(" ");
      append_escaped(out, family.help, open_metrics);
      out += '\n';
    }
    const bool unknown = open_metrics && type_name(family.type) == "untyped";
    out.append("# TYPE ").append(name).append(" ");
    out.append(unknown ? "unknown" : type_name(family.type)).append("\n");
  }

  void metric(const MetricFamily& family, std::string_view name, const ClientMetric& m) {
    switch (family.type) {
      case MetricType::Counter:
        line(name, open_metrics ? "_total" : "", m.label, {}, {}, number(m.counter.value));
        return;
      case MetricType::Gauge:
        line(name, "", m.label, {}, {}, number(m.gauge.value));
        return;
      case MetricType::Summary:
        for (const auto& q : m.summary.quantile) {
          line(name, "", m.label, "quantile", number(q.quantile), number(q.value));
        }
        line(name, "_sum", m.label, {}, {}, number(m.summary.sample_sum));
        line(name, "_count", m.label, {}, {}, std::to_string(m.summary.sample_count));
        return;
      case MetricType::Histogram:
        histogram(name, m);
        return;
      default:
        line(name, "", m.label, {}, {}, number(m.untyped.value));
    }
  }

  void histogram(std::string_view name, const ClientMetric& m) {
    bool infinite = false;
    for (const auto& bucket : m.histogram.bucket) {
      infinite |= std::isinf(bucket.upper_bound);
      line(name, "_bucket", m.label, "le", number(bucket.upper_bound),
           std::to_string(bucket.cumulative_count));
    }
    const auto count = std::to_string(m.histogram.sample_count);
    if (!infinite) line(name, "_bucket", m.label, "le", "+Inf", count);
    line(name, "_sum", m.label, {}, {}, number(m.histogram.sample_sum));
    line(name, "_count", m.label, {}, {}, count);
  }
};
}  // namespace

MetricsPage metrics_page(const prometheus::Collectable& metrics, std::string_view accept) {
  Writer writer;
  writer.open_metrics = accept.find("application/openmetrics-text") != std::string_view::npos;
  for (const MetricFamily& family : metrics.Collect()) {
    std::string_view name = family.name;
    // OpenMetrics names a counter's family without the _total that its samples carry.
    if (writer.open_metrics && family.type == MetricType::Counter && name.ends_with("_total")) {
      name.remove_suffix(std::string_view("_total").size());
    }
    writer.head(family, name);
    for (const ClientMetric& metric : family.metric) writer.metric(family, name, metric);
  }
  if (writer.open_metrics) writer.out += "# EOF\n";
  return {std::string(writer.open_metrics ? kOpenMetrics : kText), std::move(writer.out)};
}

std::string metric_list(const prometheus::Collectable& metrics) {
  std::set<std::string> lines;
  for (const MetricFamily& family : metrics.Collect()) {
    std::set<std::string> labels;
    for (const ClientMetric& metric : family.metric) {
      for (const auto& label : metric.label) labels.insert(label.name);
    }
    std::string line = fmt::format("{} {}", family.name, type_name(family.type));
    char before = ' ';
    for (const std::string& label : labels) {
      line.append(1, before).append(label);
      before = ',';
    }
    lines.insert(line + "\n");
  }
  std::string out;
  for (const std::string& line : lines) out += line;
  return out;
}

}  // namespace nb
