-- The last act of a worker that stops. It is no longer listed, and its consumers are deleted unless something is still
-- pending on them: that is redelivered when its lease runs out.
-- KEYS  work, front, workers, the worker's own hash
-- ARGV  consumer, prefix
local prefix = ARGV[2]
--@include streams
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('DEL', KEYS[4])
for letter in pairs(stream_keys) do
  local stream = stream_of(letter)
  if redis.call('EXISTS', stream) == 1 and #redis.call('XPENDING', stream, GROUP, '-', '+', 1, ARGV[1]) == 0 then
    redis.call('XGROUP', 'DELCONSUMER', stream, GROUP, ARGV[1])
  end
end
return 1
