-- Makes an execution on the schedule due. The scheduler moves it, as it moves all that are due. A run of a chain with an interval
-- keeps its grid: it counts as due at the last point of the grid before now, so the next run is due when this one would have been.
-- KEYS  work, front, schedule
-- ARGV  prefix, key or id
-- Reply 1 when it was on the schedule, else 0
--@include now
local prefix, key = ARGV[1], ARGV[2]
--@include events
--@include entries
--@include moves

local record_key, schedule = prefix .. KEY.record .. key, KEYS[3]
local is_recorded = redis.call('EXISTS', record_key) == 1
local member = (is_recorded and LETTER.recorded or LETTER.lean) .. key
if not redis.call('ZSCORE', schedule, member) then
  return 0
end
local parked = parked_at(member)
local fields = redis.call('HMGET', parked, PARKED.due, RECORD.chain, RECORD.generation)
local due, chain = tonumber(fields[1] or '') or now, is_recorded and fields[2] or ''
if due > now then -- else it waits for a retry or for its turn at a limit
  local every = tonumber(string.match(chain, '^{"everyMs":([%d.e+]+)') or '') or 0
  due = every > 0 and due - math.ceil((due - now) / every) * every or now
  redis.call('HSET', parked, PARKED.due, digits(due))
end
schedule_at(schedule, now, member)
if is_recorded then
  publish_state(key, fields[3], 'scheduled')
end
return 1
