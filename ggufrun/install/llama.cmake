# Included by CMake right after llama-cpp-python's project() when ggufrun compiles it (and llama-server's, to compare).

# llama.cpp's helper library for its own programs is a third of the compile time, and Python never loads it.
# llama-cpp-python forces the option on in CMake's cache; a normal variable of the same name goes before that.
if(PROJECT_NAME STREQUAL "llama_cpp")
    set(LLAMA_BUILD_COMMON OFF)
endif()

# GCC before 11.5, 12.4 and 13.3 compiles the set-up of AMX's tiles wrongly: see amx_tiles.h.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:SHELL:-include \"${CMAKE_CURRENT_LIST_DIR}/amx_tiles.h\">")
endif()
