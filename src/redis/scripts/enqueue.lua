-- Adds executions that keep no record and are due now: one stream entry each, nothing else.
-- KEYS  work, strikes, large
-- ARGV  version of the strikes they were checked against, message, ...
-- Reply now (ms), or '' when the strikes have changed and nothing was written
--@include now
--@include strikes
--@include large
if have_strikes_changed(KEYS[2], ARGV[1]) then
  return ''
end
local call, work, has_large = redis.call, KEYS[1], false -- looked up once: the loop body is all that this script costs
for i = 2, #ARGV do
  local message = ARGV[i]
  call('XADD', work, '*', ENTRY.message, message)
  if #message > LARGE_BYTES then
    has_large = true
  end
end
if has_large then
  announce_large(KEYS[3])
end
return digits(now)
