-- Places executions that have a record: due ones on the work stream, later ones parked and on the schedule.
-- KEYS  work, front, schedule, strikes
-- ARGV  prefix, number of items, version of the strikes they were checked against, then groups of items that agree in all but key and message:
--         kind     'u' the keys are new for certain, 'k' given by the caller: first one wins, 'l' a record only while parked
--         task
--         due      '' now, '+n' n ms from now, 'n' server ms
--         count, then count times: key, message
-- Reply now, generation of the first item, then for each item that was not placed, because its key is taken:
--         index (from 0), generation of the execution that has the key;
--       nothing when the strikes have changed, and nothing was written
--@include now
--@include strikes
if are_strikes_other_than(KEYS[4], ARGV[3]) then
  return {}
end
local prefix = ARGV[1]
local runs = prefix .. 'run:'
local work, schedule = KEYS[1], KEYS[3]
--@include events
--@include entries
--@include moves
--@include generation

local generation = next_generations(ARGV[2])
local reply = { digits(now), digits(generation) }
local index = 0
local earliest

-- The generation of the unfinished execution that has the key; makes way for a new one when there is none.
local function taken(key)
  local old = redis.call('HMGET', runs .. key, 's', 'g')
  local state = old[1]
  if state == 'scheduled' or state == 'queued' or state == 'running' then
    return old[2]
  elseif state then
    redis.call('DEL', runs .. key) -- what is left of a finished execution: its TTL, result and error must not outlive it
  end
end

local function due_time(due)
  if due == '' then
    return now
  elseif string.sub(due, 1, 1) == '+' then
    return now + string.sub(due, 2)
  end
  return tonumber(due)
end

-- The fields are known here, so what `enqueue` and `park` do for any of them is done in fewer steps.
local function place_now(key, task, message)
  local id = redis.call('XADD', work, '*', 'k', key, 'm', message)
  redis.call('HSET', runs .. key, 's', 'queued', 'g', digits(generation), 'e', 'w' .. id, 't', task)
  if listened then
    changed(key, generation, 'queued')
  end
end

local function place_later(key, kind, task, due, message)
  local score = digits(due)
  earliest = math.min(earliest or due, due)
  if kind == 'l' then
    redis.call('HSET', prefix .. 'parked:' .. key, 'm', message, 'w', score, 'pg', digits(generation))
    redis.call('ZADD', schedule, score, 'l' .. key)
    return
  end
  redis.call('HSET', runs .. key, 's', 'scheduled', 'g', digits(generation), 'e', '', 't', task, 'w', score, 'm', message)
  redis.call('ZADD', schedule, score, 'k' .. key)
  if listened then
    changed(key, generation, 'scheduled')
  end
end

local at = 4
while at <= #ARGV do
  local kind, task, count = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 3])
  local due = due_time(ARGV[at + 2])
  at = at + 4
  for item = at, at + 2 * count - 2, 2 do
    local key = ARGV[item]
    local holder = kind == 'k' and taken(key)
    if holder then
      reply[#reply + 1] = index
      reply[#reply + 1] = holder
    elseif due > now then
      place_later(key, kind, task, due, ARGV[item + 1])
    else
      place_now(key, task, ARGV[item + 1])
    end
    generation = generation + 1
    index = index + 1
  end
  at = at + 2 * count
end

if earliest then
  wake_if_head(schedule, earliest)
end
return reply
