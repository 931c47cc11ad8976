-- Moves executions that are due from the schedule to the streams of their priority: at most `limit`, or 1 MiB. Also
-- serves the waiters of a limit that a script left to a scheduler, because it had done enough. An execution whose record
-- cannot be used goes into quarantine.
-- KEYS  work, front, schedule
-- ARGV  prefix, limit
-- Reply moved, now, due time of the new head ('' when the schedule is empty), the texts of errors met with records
--@include now
--@include memory
local prefix = ARGV[1]
local schedule = KEYS[3]
--@include events
--@include entries
--@include moves
--@include permits
--@include quarantine
--@include guard

local moved, errors, bytes = {}, {}, 0
local refusal -- why it cannot go on
local moving -- what is being moved, once it is taken from where it was parked

local function move(member)
  local generation
  moving, generation = unpark(member)
  if moving[ENTRY.message] then
    bytes = bytes + string.len(moving[ENTRY.message])
    enqueue(STREAM.work, moving)
    if moving[ENTRY.key] and has_listeners then
      publish_state(moving[ENTRY.key], generation, 'queued')
    end
  else
    quarantine(string.sub(member, 2), 'its message was lost')
    if generation then
      end_lost(moving[ENTRY.key])
    end
  end
end

for _, member in ipairs(redis.call('ZRANGE', schedule, '-inf', digits(now), 'BYSCORE', 'LIMIT', 0, ARGV[2])) do
  moving = nil
  local problem = problem_of(move, member)
  if problem and not moving and is_forbidden(problem) then
    refusal = problem
    break
  end
  moved[#moved + 1] = member
  if problem then
    put_away(moving or { [ENTRY.key] = string.sub(member, 2) }, problem)
    errors[#errors + 1] = string.sub(member, 2) .. ': ' .. problem
  end
  if bytes > BATCH_BYTES then
    break
  end
end
if #moved > 0 then
  redis.call('ZREM', schedule, unpack(moved))
elseif refusal then
  return redis.error_reply(refusal)
end

local left = redis.call('ZRANGE', prefix .. KEY.wakes, 0, 0)
if left[1] then
  redis.call('ZREM', prefix .. KEY.wakes, left[1])
  serve_waiters(left[1])
end
write_permits()

local head = redis.call('ZRANGE', schedule, 0, 0, 'WITHSCORES')
local is_more = redis.call('EXISTS', prefix .. KEY.wakes) == 1
return { #moved, digits(now), is_more and digits(now) or head[2] or '', errors }
