-- Lists a worker as alive until `ttl` from now on the server's clock, with what it reports of itself.
-- KEYS  workers, the worker's own hash, recallable
-- ARGV  consumer, ttl (ms), field, value, ...
-- Reply now (ms), 1 when there is anything to recall
--@include now
--@include trim
trim(KEYS[1], now)
redis.call('ZADD', KEYS[1], digits(now + ARGV[2]), ARGV[1])
redis.call('HSET', KEYS[2], WORKER.seen, digits(now), unpack(ARGV, 3))
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return { digits(now), redis.call('EXISTS', KEYS[3]) }
