-- Moves executions whose time has come from the schedule to the work stream: at most `limit`, or 1 MiB.
-- KEYS  work, schedule, quarantine
-- ARGV  prefix, limit
-- Reply moved, now, due time of the new head ('' when the schedule is empty)
--@include now
local prefix = ARGV[1]
local work, schedule = KEYS[1], KEYS[2]
--@include events
--@include quarantine
--@include schedule

local function add(key, message, due, deliveries, charges)
  local fields = { 'm', message, 'w', due }
  local function give(name, value)
    if value then
      fields[#fields + 1] = name
      fields[#fields + 1] = value
    end
  end
  give('k', key)
  give('d', deliveries)
  give('c', charges)
  return redis.call('XADD', work, '*', unpack(fields))
end

local moved, bytes = {}, 0
for _, member in ipairs(redis.call('ZRANGE', schedule, '-inf', digits(now), 'BYSCORE', 'LIMIT', 0, ARGV[2])) do
  local parked, name = parked_at(member)
  local recorded = string.sub(member, 1, 1) == 'k'
  local record = redis.call('HMGET', parked, 'm', 'w', 'pd', 'pc', 'g')
  local message = record[1]
  moved[#moved + 1] = member
  if not message then
    quarantine(KEYS[3], name, 'on the schedule without a message')
    if record[5] then
      redis.call('HSET', parked, 's', 'failed', 'c', digits(now), 'e', '', 'y', 'its message was lost')
      redis.call('PEXPIRE', parked, 900000)
      changed(name, record[5], 'failed')
    end
  elseif recorded then
    local id = add(name, message, record[2], record[3], record[4])
    redis.call('HSET', parked, 's', 'queued', 'e', 'w' .. id)
    redis.call('HDEL', parked, 'm', 'pd', 'pc')
    changed(name, record[5], 'queued')
  else
    add(nil, message, record[2], record[3], record[4])
    redis.call('DEL', parked)
  end
  bytes = bytes + string.len(message or '')
  if bytes > 1048576 then
    break
  end
end
if #moved > 0 then
  redis.call('ZREM', schedule, unpack(moved))
end

local head = redis.call('ZRANGE', schedule, 0, 0, 'WITHSCORES')
return { #moved, digits(now), head[2] or '' }
