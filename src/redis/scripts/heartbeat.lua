-- Lists a worker as alive until `ttl` from now on the server's clock, with what it reports of itself.
-- KEYS  work, workers, the worker's own hash, recallable
-- ARGV  consumer, ttl (ms), field, value, ...
-- Reply now (ms), 1 when there is anything to recall
--@include now
--@include memory
--@include trim
trim(KEYS[2], now)
redis.call('ZADD', KEYS[2], digits(now + ARGV[2]), ARGV[1])
redis.call('HSET', KEYS[3], WORKER.seen, digits(now), unpack(ARGV, 3))
redis.call('PEXPIRE', KEYS[3], ARGV[2])
return { digits(now), redis.call('EXISTS', KEYS[4]) }
