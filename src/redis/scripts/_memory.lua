-- A full server refuses scripts that begin with a write that takes memory, also those whose work frees some. It allows a
-- script that begins with one that takes none, and then all of it. Some servers refuse it where no worker has been yet.
redis.pcall('XACK', KEYS[1], 'workers', '0-0')
