-- Lists a worker as alive until `ttl` from now on the server's clock, with what it reports of itself. Also looks at the
-- schedule, so that the schedulers of idle workers need not.
-- KEYS  work, workers, the worker's own hash, recallable, schedule, wakes
-- ARGV  consumer, ttl (ms), field, value, ...
-- Reply now (ms), 1 when there is anything to recall, due time of the head of the schedule ('' when it is empty)
--@include now
--@include memory
--@include trim
trim(KEYS[2], now)
redis.call('ZADD', KEYS[2], digits(now + ARGV[2]), ARGV[1])
redis.call('HSET', KEYS[3], WORKER.seen, digits(now), unpack(ARGV, 3))
redis.call('PEXPIRE', KEYS[3], ARGV[2])

local is_recallable = 0
local due = redis.pcall('ZRANGE', KEYS[5], 0, 0, 'WITHSCORES')[2] or '' -- the worker lives whatever is wrong with that key
if redis.call('EXISTS', KEYS[4], KEYS[6]) > 0 then -- one call for both, since there is usually neither
  is_recallable = redis.call('EXISTS', KEYS[4])
  due = redis.call('EXISTS', KEYS[6]) == 1 and digits(now) or due
end
return { digits(now), is_recallable, due }
