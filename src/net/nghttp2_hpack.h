// For tests and fuzzers: HPACK of nghttp2, a peer that is not of our making.
#pragma once

#include "base/assert.h"

#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nb::net::testing {

using Fields = std::vector<std::pair<std::string, std::string>>;

class Deflater {
 public:
  Deflater() { NB_ASSERT(nghttp2_hd_deflate_new(&deflater_, 4'096) == 0); }
  ~Deflater() { nghttp2_hd_deflate_del(deflater_); }
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;

  /// What a peer asks for by SETTINGS_HEADER_TABLE_SIZE.
  void limit(std::size_t bytes) {
    NB_ASSERT(nghttp2_hd_deflate_change_table_size(deflater_, bytes) == 0);
  }
  std::string block(Fields fields) {
    std::vector<nghttp2_nv> pairs;
    for (auto& [name, value] : fields)
      pairs.push_back({reinterpret_cast<std::uint8_t*>(name.data()),
                       reinterpret_cast<std::uint8_t*>(value.data()), name.size(), value.size(),
                       NGHTTP2_NV_FLAG_NONE});
    std::string out(nghttp2_hd_deflate_bound(deflater_, pairs.data(), pairs.size()), '\0');
    const auto size = nghttp2_hd_deflate_hd(deflater_, reinterpret_cast<std::uint8_t*>(out.data()),
                                            out.size(), pairs.data(), pairs.size());
    NB_ASSERT(size >= 0);
    out.resize(static_cast<std::size_t>(size));
    return out;
  }

 private:
  nghttp2_hd_deflater* deflater_ = nullptr;
};

class Inflater {
 public:
  Inflater() { NB_ASSERT(nghttp2_hd_inflate_new(&inflater_) == 0); }
  ~Inflater() { nghttp2_hd_inflate_del(inflater_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  void limit(std::size_t bytes) {
    NB_ASSERT(nghttp2_hd_inflate_change_table_size(inflater_, bytes) == 0);
  }
  /// Nothing: it is no header block.
  std::optional<Fields> fields(std::string_view block) {
    Fields out;
    const auto* at = reinterpret_cast<const std::uint8_t*>(block.data());
    std::size_t left = block.size();
    for (;;) {
      nghttp2_nv pair;
      int flags = 0;
      const auto used = nghttp2_hd_inflate_hd2(inflater_, &pair, &flags, at, left, 1);
      if (used < 0) return std::nullopt;
      at += used;
      left -= static_cast<std::size_t>(used);
      if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0)
        out.emplace_back(std::string(reinterpret_cast<const char*>(pair.name), pair.namelen),
                         std::string(reinterpret_cast<const char*>(pair.value), pair.valuelen));
      if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) break;
    }
    nghttp2_hd_inflate_end_headers(inflater_);
    return out;
  }

 private:
  nghttp2_hd_inflater* inflater_ = nullptr;
};

}  // namespace nb::net::testing
