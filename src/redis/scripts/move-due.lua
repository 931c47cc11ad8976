-- Moves executions whose time has come from the schedule to the work stream: at most `limit`, or 1 MiB. Also serves waiters
-- for slots whom a script left to a scheduler, because it had done enough.
-- KEYS  work, front, schedule, quarantine
-- ARGV  prefix, limit
-- Reply moved, now, due time of the new head ('' when the schedule is empty)
--@include now
local prefix = ARGV[1]
local schedule = KEYS[3]
--@include events
--@include entries
--@include moves
--@include slots
--@include quarantine

local moved, bytes = {}, 0
for _, member in ipairs(redis.call('ZRANGE', schedule, '-inf', digits(now), 'BYSCORE', 'LIMIT', 0, ARGV[2])) do
  local moving, generation = unpark(member)
  moved[#moved + 1] = member
  if moving.m then
    enqueue('w', moving)
    if moving.k and listened then
      changed(moving.k, generation, 'queued')
    end
  else
    quarantine(KEYS[4], string.sub(member, 2), 'on the schedule without a message')
    if generation then
      close(moving.k, 900000, 'failed', 'y', 'its message was lost')
    end
  end
  bytes = bytes + string.len(moving.m or '')
  if bytes > 1048576 then
    break
  end
end
if #moved > 0 then
  redis.call('ZREM', schedule, unpack(moved))
end

local left = redis.call('ZRANGE', prefix .. 'wakes', 0, 0)
if left[1] then
  redis.call('ZREM', prefix .. 'wakes', left[1])
  serve_waiters(left[1])
end
write_slots()

local head = redis.call('ZRANGE', schedule, 0, 0, 'WITHSCORES')
local isMore = redis.call('EXISTS', prefix .. 'wakes') == 1
return { #moved, digits(now), isMore and digits(now) or head[2] or '' }
