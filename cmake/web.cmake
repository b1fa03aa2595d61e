# llmind_web_page(OUT): builds the web page in web/ and sets OUT to a C file that carries it, compressed.
#
# The page is built into the build tree, so that trees which are built at the same time do not share a folder;
# web/dist is for whoever runs `npm run build` by hand. web/node_modules is filled by scripts/bootstrap.
find_program(NODE node REQUIRED)
find_program(NPM npm REQUIRED)

function(llmind_web_page OUT)
  set(web ${PROJECT_SOURCE_DIR}/web)
  set(embed ${PROJECT_SOURCE_DIR}/cmake/web_embed.mjs)
  set(made ${CMAKE_BINARY_DIR}/web)
  if(NOT EXISTS ${web}/node_modules/.made-from)
    message(FATAL_ERROR "The web page's packages are missing: run scripts/bootstrap build (make does) and try again.")
  endif()
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${web}/src/* ${web}/public/*)
  file(GLOB settings CONFIGURE_DEPENDS ${web}/*.json ${web}/*.html ${web}/*.js ${web}/*.ts)
  add_custom_command(OUTPUT ${made}/asset_table.c BYPRODUCTS ${made}/assets.bin
    COMMAND ${NPM} --prefix ${web} --silent run build -- --outDir ${made}/dist --emptyOutDir --logLevel warn
    COMMAND ${NODE} ${embed} ${made}/dist ${made}
    DEPENDS ${sources} ${settings} ${web}/node_modules/.made-from ${embed}
    COMMENT "Building the web page"
    VERBATIM)
  add_custom_target(web_page DEPENDS ${made}/asset_table.c)
  add_dependencies(generated_sources web_page)
  set(${OUT} ${made}/asset_table.c PARENT_SCOPE)
endfunction()
