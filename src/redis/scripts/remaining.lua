-- Counts what is left to do in the whole docket.
-- KEYS  work, front, schedule, wakes
-- ARGV  prefix, then keys whose executions do not count
-- Reply entries on the streams (waiting or being run), executions on the schedule. Who waits for a slot is not counted: as
--         long as anybody does there is an entry that holds it, or a limit left for a scheduler to look at.
--@include entries
local entries = redis.call('XLEN', KEYS[1]) + redis.call('XLEN', KEYS[2])
local scheduled = redis.call('ZCARD', KEYS[3]) + redis.call('ZCARD', KEYS[4])
for i = 2, #ARGV do
  local token = redis.call('HGET', ARGV[1] .. 'run:' .. ARGV[i], 'e')
  if token and token ~= '' then
    local id = string.sub(token, 2)
    entries = entries - #redis.call('XRANGE', stream_of(token), id, id)
  elseif redis.call('ZSCORE', KEYS[3], 'k' .. ARGV[i]) or redis.call('ZSCORE', KEYS[3], 'l' .. ARGV[i]) then
    scheduled = scheduled - 1
  end
end
return { entries, scheduled }
