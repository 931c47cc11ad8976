-- Changes the progress of an execution from outside. What has ended, or belongs to a newer execution, stays as it is.
-- KEYS  the record
-- ARGV  prefix, key, generation, 'increment' | 'total' | 'message', value
-- Reply nothing when there is no record, else its generation, and unless it is another one: current, total, time of the last
--       change ('' never), message
--@include now
local prefix, key, change, value = ARGV[1], ARGV[2], ARGV[4], ARGV[5]
--@include events
--@include progress

local old = redis.call('HMGET', KEYS[1], 's', 'v', 'g', 'i', 'j', 'o', 'u')
local state, updated = table.remove(old, 1), table.remove(old, 1)
if not state then
  return {}
elseif old[1] ~= ARGV[3] then
  return { old[1] }
end
local now_true
if state == 'completed' or state == 'failed' or state == 'cancelled' then
  now_true = { digits((old[2] or 0) + (old[3] or 0)), old[4] or '100', updated or '', old[5] or '' }
elseif change == 'increment' then
  now_true = write_progress(key, old, nil, digits((old[3] or 0) + value))
elseif change == 'total' then
  now_true = write_progress(key, old, nil, nil, value)
else
  now_true = write_progress(key, old, nil, nil, nil, value)
end
return { old[1], unpack(now_true) }
