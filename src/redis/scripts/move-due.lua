-- Moves executions whose time has come from the schedule to the work stream, at most `limit`.
-- KEYS  work, schedule, quarantine
-- ARGV  prefix, limit
-- Reply moved, now, due time of the new head ('' when the schedule is empty)
--@include now
local prefix = ARGV[1]
local work, schedule = KEYS[1], KEYS[2]
--@include events
--@include quarantine

local due = redis.call('ZRANGE', schedule, '-inf', digits(now), 'BYSCORE', 'LIMIT', 0, ARGV[2])
for _, key in ipairs(due) do
  local run = prefix .. 'run:' .. key
  local record = redis.call('HMGET', run, 'm', 'w', 'l', 'g')
  local message = record[1]
  if not message then
    quarantine(KEYS[3], key, 'on the schedule without a message')
  elseif record[3] then
    redis.call('XADD', work, '*', 'm', message, 'w', record[2])
    redis.call('DEL', run)
  else
    local id = redis.call('XADD', work, '*', 'k', key, 'm', message, 'w', record[2])
    redis.call('HSET', run, 's', 'queued', 'e', 'w' .. id)
    redis.call('HDEL', run, 'm')
    changed(key, record[4], 'queued')
  end
end
if #due > 0 then
  redis.call('ZREM', schedule, unpack(due))
end

local head = redis.call('ZRANGE', schedule, 0, 0, 'WITHSCORES')
return { #due, digits(now), head[2] or '' }
