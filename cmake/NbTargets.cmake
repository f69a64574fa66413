# nb_module, nb_test, nb_fuzz, nb_program: the only ways a target comes to be.
add_library(nb_options INTERFACE)
target_include_directories(nb_options INTERFACE ${CMAKE_SOURCE_DIR}/src)
target_compile_options(nb_options INTERFACE
  # A warning stops who changes the code, never who installs it: optimisers of one release see
  # others than the tested build does.
  -Wall -Wextra $<$<NOT:$<CONFIG:Release>>:-Werror> -Wshadow -Wconversion -Wnon-virtual-dtor -Wold-style-cast
  $<$<CXX_COMPILER_ID:GNU>:-Wduplicated-cond>
  -fno-omit-frame-pointer)
target_compile_definitions(nb_options INTERFACE
  BOOST_ASIO_NO_DEPRECATED
  # One coroutine frame per await is the cost that matters; the thread-local frame cache of
  # Asio is kept, its separate handler type erasure is not needed.
  BOOST_ASIO_DISABLE_BOOST_COROUTINE=1
  $<$<CONFIG:Debug>:NB_DEBUG=1>)
target_link_libraries(nb_options INTERFACE Threads::Threads Boost::headers fmt::fmt)
# gcc 12: -Wmaybe-uninitialized and -Wnull-dereference report inside coroutine frames and
# std::variant of the libraries when optimising; the sanitizers cover what they would find.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(nb_options INTERFACE -Wno-maybe-uninitialized -Wno-mismatched-new-delete
    # -O2 sees bounds broken inside std::string's operator+ (gcc bug 105329 and kin).
    $<$<CONFIG:Release>:-Wno-array-bounds> $<$<CONFIG:Release>:-Wno-restrict>)
  if(NB_SANITIZE)  # instrumented code is read wrongly in more places
    target_compile_options(nb_options INTERFACE
      -Wno-array-bounds -Wno-restrict -Wno-stringop-overread -Wno-stringop-overflow)
  endif()
endif()
if(NB_SANITIZE)
  target_compile_options(nb_options INTERFACE -fsanitize=${NB_SANITIZE})
  target_link_options(nb_options INTERFACE -fsanitize=${NB_SANITIZE})
  if(NB_SANITIZE MATCHES "thread")
    # TSan does not model fences. Asio's only order what its queues' locks order already; without
    # them the library is judged by those locks.
    target_compile_definitions(nb_options INTERFACE BOOST_ASIO_DISABLE_FENCED_BLOCK)
    target_compile_options(nb_options INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-tsan>)
  endif()
  if(NB_SANITIZE MATCHES "undefined")
    target_compile_options(nb_options INTERFACE -fno-sanitize-recover=undefined)
    if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
      # clang 14 miscompiles coroutines with the function-type check.
      target_compile_options(nb_options INTERFACE -fno-sanitize=function)
    endif()
  endif()
endif()
find_program(NB_MOLD mold)
if(NB_MOLD)
  target_link_options(nb_options INTERFACE -fuse-ld=mold)
endif()

# Precompiled Asio, fmt and the usual standard headers for the modules that are built on them.
# Written once: a newer file would have everything built again at each configuration.
foreach(name nb_pch.cc nb_pch_test.cc)
  if(NOT EXISTS ${CMAKE_BINARY_DIR}/${name})
    file(WRITE ${CMAKE_BINARY_DIR}/${name} "")
  endif()
endforeach()
add_library(nb_pch OBJECT ${CMAKE_BINARY_DIR}/nb_pch.cc)
target_link_libraries(nb_pch PUBLIC nb_options)
target_precompile_headers(nb_pch PRIVATE ${CMAKE_SOURCE_DIR}/cmake/pch.h)
if(NB_BUILD_TESTS)
  add_library(nb_pch_test OBJECT ${CMAKE_BINARY_DIR}/nb_pch_test.cc)
  target_link_libraries(nb_pch_test PUBLIC nb_options GTest::gmock)
  target_precompile_headers(nb_pch_test PRIVATE ${CMAKE_SOURCE_DIR}/cmake/pch.h
    <gmock/gmock.h> <gtest/gtest.h>)
endif()

# nb_module(name SRCS a.cc … [DEPS base …] [LIBS PkgConfig::x …] [NO_PCH])
# Target nb_<name>, alias nb::<name>. DEPS are our modules (public), LIBS third-party (private).
function(nb_module name)
  cmake_parse_arguments(A "NO_PCH" "" "SRCS;DEPS;LIBS;PUBLIC_LIBS" ${ARGN})
  add_library(nb_${name} STATIC ${A_SRCS})
  add_library(nb::${name} ALIAS nb_${name})
  list(TRANSFORM A_DEPS PREPEND nb::)
  target_link_libraries(nb_${name} PUBLIC nb_options ${A_DEPS} ${A_PUBLIC_LIBS} PRIVATE ${A_LIBS})
  if(NOT A_NO_PCH)
    target_precompile_headers(nb_${name} REUSE_FROM nb_pch)
  endif()
endfunction()

# nb_patience(OUT seconds): what a test of so many seconds is given, more under a sanitizer.
function(nb_patience out seconds)
  if(NB_SANITIZE)
    math(EXPR seconds "${seconds} * 4")
  endif()
  set(${out} ${seconds} PARENT_SCOPE)
endfunction()

# nb_test(name SRCS a_test.cc … DEPS base … [LIBS …] [LABELS …] [TIMEOUT s] [RESOURCES lock])
# One executable; every TEST is a test of CTest, discovered at test time. WHOLE: all of them are one.
function(nb_test name)
  if(NOT NB_BUILD_TESTS)
    return()
  endif()
  cmake_parse_arguments(A "WHOLE" "TIMEOUT" "SRCS;DEPS;LIBS;LABELS;ENV" ${ARGN})
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 60)
  endif()
  nb_patience(A_TIMEOUT ${A_TIMEOUT})
  add_executable(${name} ${A_SRCS})
  list(TRANSFORM A_DEPS PREPEND nb::)
  target_link_libraries(${name} PRIVATE nb_options ${A_DEPS} ${A_LIBS} nb_test_paths
    GTest::gmock GTest::gmock_main)
  target_precompile_headers(${name} REUSE_FROM nb_pch_test)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  if(A_WHOLE)
    add_test(NAME ${name} COMMAND ${name})
    set_tests_properties(${name} PROPERTIES TIMEOUT ${A_TIMEOUT} LABELS "${A_LABELS}"
      ENVIRONMENT "${A_ENV}")
    return()
  endif()
  include(GoogleTest)
  gtest_discover_tests(${name} TEST_PREFIX "${name}." DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
    PROPERTIES TIMEOUT ${A_TIMEOUT} LABELS "${A_LABELS}" ENVIRONMENT "${A_ENV}")
endfunction()

# nb_program(netbird-x SRCS … DEPS …): an installed binary.
function(nb_program name)
  cmake_parse_arguments(A "" "" "SRCS;DEPS;LIBS" ${ARGN})
  add_executable(${name} ${A_SRCS})
  list(TRANSFORM A_DEPS PREPEND nb::)
  target_link_libraries(${name} PRIVATE nb_options ${A_DEPS} ${A_LIBS})
  target_precompile_headers(${name} REUSE_FROM nb_pch)
endfunction()

# nb_fuzz(name SRCS x_fuzz.cc DEPS …): with NB_FUZZERS a libFuzzer binary, otherwise a test that
# replays tests/fuzz/corpus/<name> and mutations of it, so that CI needs no second compiler. Target
# `fuzzers` is all of them.
function(nb_fuzz name)
  if(NOT NB_BUILD_TESTS)
    return()
  endif()
  cmake_parse_arguments(A "" "" "SRCS;DEPS;LIBS" ${ARGN})
  list(TRANSFORM A_DEPS PREPEND nb::)
  set(corpus ${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${name})
  if(NB_FUZZERS)
    add_executable(${name} ${A_SRCS})
    target_link_libraries(${name} PRIVATE nb_options ${A_DEPS} ${A_LIBS})
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    add_test(NAME fuzz.${name} COMMAND ${name} -max_total_time=20 -timeout=10 -rss_limit_mb=2048
      ${CMAKE_BINARY_DIR}/fuzz-corpus/${name} ${corpus})
    file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz-corpus/${name})
  else()
    add_executable(${name} ${A_SRCS} ${CMAKE_SOURCE_DIR}/tests/fuzz/replay_main.cc)
    target_link_libraries(${name} PRIVATE nb_options ${A_DEPS} ${A_LIBS})
    add_test(NAME fuzz.${name} COMMAND ${name} ${corpus})
  endif()
  if(NOT TARGET fuzzers)
    add_custom_target(fuzzers)
  endif()
  add_dependencies(fuzzers ${name})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
  nb_patience(limit 120)
  set_tests_properties(fuzz.${name} PROPERTIES TIMEOUT ${limit} LABELS fuzz)
endfunction()
