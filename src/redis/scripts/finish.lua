-- Settles executions that keep nothing: their entries go, and that is all there is to write.
-- KEYS  stream
-- ARGV  ids
-- Reply how many entries were still there; fewer than sent means that some had been redelivered
redis.call('XACK', KEYS[1], 'workers', unpack(ARGV))
return redis.call('XDEL', KEYS[1], unpack(ARGV))
