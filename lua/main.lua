return function(cdef, ...) print("hello", #cdef, ...) return 0 end
