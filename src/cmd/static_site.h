// The dashboard's static export, served from memory.
// Source   contract/dashboard.md §3.3, §3.4; contract/auth-idp.md §10 (end)
#pragma once

#include "base/result.h"
#include "net/http.h"

#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace nb::cmd {

/// All files of a directory, read once: requests touch no disk, and no path leads out of it.
class StaticSite {
 public:
  /// Limits   20'000 files, 256 MiB in all.
  /// Errors   kNotFound: no such directory; kInvalidArgument: a limit, or no index.html;
  ///          kUnavailable: a file cannot be read.
  static Result<std::shared_ptr<const StaticSite>> load(const std::string& directory);

  /// GET and HEAD: the file, path + ".html", the directory's index.html, else 404.html with status
  /// 404. A broken escape or a NUL in the path is 400.
  [[nodiscard]] net::HttpResponse answer(const net::HttpRequest& request) const;

 private:
  struct File {
    std::string body;
    std::string type;
    std::string etag;
    bool immutable = false;  // its name changes with its content
  };
  [[nodiscard]] const File* find(std::string name) const;
  std::map<std::string, File, std::less<>> files_;  // "/assets/logo.svg"
};

/// Everything that no other route takes.
void add_static_site(net::HttpRouter& router, std::shared_ptr<const StaticSite> site);

}  // namespace nb::cmd
