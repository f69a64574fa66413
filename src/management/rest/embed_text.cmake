# cmake -DINPUT=… -DOUTPUT=… -P embed_text.cmake: a text file as a C++ function.
# As an array of characters: string literals have a limit of 64 KiB in the standard.
file(READ "${INPUT}" hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
file(WRITE "${OUTPUT}" "#include \"management/rest/openapi_text.h\"
namespace nb::management::rest {
namespace {
constexpr unsigned char kText[] = {${bytes}};
}  // namespace
std::string_view openapi_text() {
  return {reinterpret_cast<const char*>(kText), sizeof kText};
}
}  // namespace nb::management::rest
")
