# The mlx backend, libllmind_mlx: built where MLX's C++ library is found. A pip package of MLX has it (scripts/bootstrap mlx
# fills .venv-mlx; .venv of the tests has one too), and Homebrew's mlx. Include it where the module `backend` is.
set(LLMIND_MLX AUTO CACHE STRING "The mlx backend: AUTO (where MLX is found), ON (it must be) or OFF")

# A library of an earlier build is not to be loaded by this one.
function(leave_mlx_out)
  file(GLOB built_before "${CMAKE_BINARY_DIR}/libllmind_mlx.*" "${CMAKE_BINARY_DIR}/tests/libllmind_mlx.*")
  if(built_before)
    file(REMOVE ${built_before})
  endif()
endfunction()

if(NOT LLMIND_MLX OR (LLMIND_MLX STREQUAL "AUTO" AND LLMIND_SANITIZE)) # MLX itself is not instrumented
  leave_mlx_out()
  return()
endif()

file(GLOB places LIST_DIRECTORIES true
  "${CMAKE_SOURCE_DIR}/.venv-mlx/lib/python3*/site-packages/mlx" "${CMAKE_SOURCE_DIR}/.venv/lib/python3*/site-packages/mlx")
# not cached: a virtual environment comes and goes
unset(mlx_library CACHE)
unset(mlx_include CACHE)
find_library(mlx_library mlx HINTS ${places} PATH_SUFFIXES lib NO_CACHE)
find_path(mlx_include mlx/mlx.h HINTS ${places} PATH_SUFFIXES include NO_CACHE)
if(NOT CMAKE_CXX_COMPILER)
  unset(CMAKE_CXX_COMPILER CACHE) # none was there the last time
endif()
include(CheckLanguage)
check_language(CXX)
if(NOT mlx_library OR NOT mlx_include OR NOT CMAKE_CXX_COMPILER)
  set(missing "the mlx backend is left out: no C++ compiler, or no MLX (scripts/bootstrap mlx installs it)")
  if(LLMIND_MLX STREQUAL "AUTO")
    message(STATUS "${missing}")
    leave_mlx_out()
    return()
  endif()
  message(FATAL_ERROR "${missing}")
endif()

enable_language(CXX)
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
add_library(llmind_mlx SHARED mlx/mlx.cpp mlx/step.cpp mlx/cache.cpp mlx/slots.cpp mlx/tensors.cpp mlx/thread.cpp)
target_include_directories(llmind_mlx SYSTEM PRIVATE ${mlx_include})
target_include_directories(llmind_mlx PRIVATE ${CMAKE_BINARY_DIR}/include/backend)
# in C a function may have a structure's name
target_compile_options(llmind_mlx PRIVATE -Wno-shadow)
target_link_libraries(llmind_mlx PRIVATE plan base ${mlx_library} Threads::Threads)
set_target_properties(llmind_mlx PROPERTIES
  CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
if(NOT APPLE)
  # what it holds of base and plan is its own
  target_link_options(llmind_mlx PRIVATE -Wl,--exclude-libs,ALL)
endif()
# beside the tests' programs, too
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
set(name ${CMAKE_SHARED_LIBRARY_PREFIX}llmind_mlx${CMAKE_SHARED_LIBRARY_SUFFIX})
file(CREATE_LINK ${CMAKE_BINARY_DIR}/${name} ${CMAKE_BINARY_DIR}/tests/${name} SYMBOLIC)
# the installed library finds MLX where it was found here
get_filename_component(mlx_folder ${mlx_library} DIRECTORY)
set_target_properties(llmind_mlx PROPERTIES INSTALL_RPATH ${mlx_folder})
install(TARGETS llmind_mlx LIBRARY DESTINATION lib/llmind) # where the program looks
message(STATUS "the mlx backend is built with ${mlx_library}")
