-- A server that is out of memory refuses a script that begins with a write that takes memory, even one that would free
-- some. A script that begins with a write that takes none is allowed all of its writes. Where there is no group yet,
-- Redis returns 0 and the embedded server an error.
redis.pcall('XACK', KEYS[1], GROUP, '0-0')
