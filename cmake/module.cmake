# llmind_module(NAME SOURCES a.c b.c DEPENDS lower modules and libraries)
#
# One folder under src/ is one static library that shows its headers under its own name only: "engine/engine.h" is
# found by whoever links engine, and by nobody else. An include that points upwards therefore does not compile.
function(llmind_module NAME)
  cmake_parse_arguments(M "" "" "SOURCES;DEPENDS" ${ARGN})
  set(root ${CMAKE_BINARY_DIR}/include/${NAME})
  file(MAKE_DIRECTORY ${root})
  file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR} ${root}/${NAME} SYMBOLIC)
  add_library(${NAME} STATIC ${M_SOURCES})
  target_include_directories(${NAME} PUBLIC ${root})
  target_link_libraries(${NAME} PUBLIC ${M_DEPENDS})
endfunction()
