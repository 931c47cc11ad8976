-- A full server refuses scripts that begin with a write that takes memory, also those whose work frees some. It allows a
-- script that begins with one that takes none, and then all of it. Where there is no group yet, Redis answers 0, the
-- embedded server with an error.
redis.pcall('XACK', KEYS[1], 'workers', '0-0')
