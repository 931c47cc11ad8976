-- Moves executions that are due from the schedule to the work stream: at most `limit`, or 1 MiB. Also serves the
-- waiters of a limit that a script left to a scheduler, because it had done enough.
-- KEYS  work, front, schedule, quarantine
-- ARGV  prefix, limit
-- Reply moved, now, due time of the new head ('' when the schedule is empty)
--@include now
local prefix = ARGV[1]
local schedule = KEYS[3]
--@include events
--@include entries
--@include moves
--@include permits
--@include quarantine

local moved, bytes = {}, 0
for _, member in ipairs(redis.call('ZRANGE', schedule, '-inf', digits(now), 'BYSCORE', 'LIMIT', 0, ARGV[2])) do
  local moving, generation = unpark(member)
  moved[#moved + 1] = member
  if moving[ENTRY.message] then
    enqueue(STREAM.work, moving)
    if moving[ENTRY.key] and has_listeners then
      publish_state(moving[ENTRY.key], generation, 'queued')
    end
  else
    quarantine(KEYS[4], string.sub(member, 2), 'on the schedule without a message')
    if generation then
      end_execution(moving[ENTRY.key], DEFAULT_TTL_MS, 'failed', RECORD.error_line, 'its message was lost')
    end
  end
  bytes = bytes + string.len(moving[ENTRY.message] or '')
  if bytes > BATCH_BYTES then
    break
  end
end
if #moved > 0 then
  redis.call('ZREM', schedule, unpack(moved))
end

local left = redis.call('ZRANGE', prefix .. KEY.wakes, 0, 0)
if left[1] then
  redis.call('ZREM', prefix .. KEY.wakes, left[1])
  serve_waiters(left[1])
end
write_permits()

local head = redis.call('ZRANGE', schedule, 0, 0, 'WITHSCORES')
local is_more = redis.call('EXISTS', prefix .. KEY.wakes) == 1
return { #moved, digits(now), is_more and digits(now) or head[2] or '' }
