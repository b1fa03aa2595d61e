# Writes OUTPUT, a C file with the bytes of FILE as `const char NAME[]` and their number as `const size_t NAME_length`,
# which HEADER declares.
file(READ ${FILE} hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
file(WRITE ${OUTPUT} "#include \"${HEADER}\"\n\nconst char ${NAME}[] = {${bytes}0};\n"
                     "const size_t ${NAME}_length = sizeof ${NAME} - 1;\n")
