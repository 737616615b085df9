# Fails the build if a copy of the kernels contains code that could run on a processor without its instructions: a
# symbol that the linker may share with another file, or code that runs when the module is loaded.
foreach(object IN LISTS OBJECTS)
  execute_process(COMMAND "${NM}" -C "${object}" OUTPUT_VARIABLE symbols RESULT_VARIABLE failed ERROR_VARIABLE why)
  if(failed)
    message(FATAL_ERROR "${NM} cannot read ${object}: ${why}")
  endif()
  string(REGEX MATCHALL "[^\n]* [VvWu] [^\n]*" found "${symbols}")
  if(NOT SANITIZED)  # a sanitizer has an initializer of its own in each file
    string(REGEX MATCHALL "[^\n]*(_GLOBAL__sub_I|__cxx_global_var_init)[^\n]*" at_load "${symbols}")
    list(APPEND found ${at_load})
  endif()
  if(found)
    list(JOIN found "\n  " found)
    message(FATAL_ERROR
      "${object} is compiled for one kind of processor, and these could run on another:\n  ${found}\n"
      "Define everything in native/src/kernels/ in an unnamed namespace, include no header of the C++ library, "
      "and let all constants be compile-time constants.")
  endif()
endforeach()
