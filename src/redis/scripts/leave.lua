-- The last act of a worker that stops. It is no longer listed, and its consumers are deleted unless something is still
-- pending on them: that is redelivered when its lease runs out.
-- KEYS  work, front, workers, the worker's own hash
-- ARGV  consumer
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('DEL', KEYS[4])
for i = 1, 2 do
  if redis.call('EXISTS', KEYS[i]) == 1 and #redis.call('XPENDING', KEYS[i], GROUP, '-', '+', 1, ARGV[1]) == 0 then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[i], GROUP, ARGV[1])
  end
end
return 1
