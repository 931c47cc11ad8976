-- Adds executions that keep no record and are due now: one stream entry each, nothing else.
-- KEYS  work, strikes
-- ARGV  version of the strikes they were checked against, message, ...
-- Reply now (ms), or '' when the strikes have changed and nothing was written
--@include now
--@include strikes
if have_strikes_changed(KEYS[2], ARGV[1]) then
  return ''
end
local call, work = redis.call, KEYS[1] -- looked up once: the loop body is all that this script costs
for i = 2, #ARGV do
  call('XADD', work, '*', ENTRY.message, ARGV[i])
end
return digits(now)
