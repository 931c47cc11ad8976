-- Adds executions that keep no record and are due now: one stream entry each, nothing else.
-- KEYS  work
-- ARGV  message, ...
-- Reply now (ms)
--@include now
for i = 1, #ARGV do
  redis.call('XADD', KEYS[1], '*', 'm', ARGV[i])
end
return digits(now)
