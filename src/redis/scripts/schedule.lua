-- Places executions that have a record: due ones on the work stream, later ones parked and on the schedule.
-- KEYS  work, front, schedule, strikes
-- ARGV  prefix, number of items, version of the strikes they were checked against, then groups of items that agree in
--       all but key and message: kind of placement, task, due (see _due.lua), count, then count times: key, message
-- Reply now, generation of the first item, then for each item that was not placed, because its key is taken: index
--       (from 0), generation of the execution that has the key or, with 'once', had it; nothing when the strikes have
--       changed, and nothing was written
--@include now
--@include strikes
if have_strikes_changed(KEYS[4], ARGV[3]) then
  return {}
end
local prefix = ARGV[1]
local records = prefix .. KEY.record
local work, schedule = KEYS[1], KEYS[3]
--@include due
--@include events
--@include entries
--@include moves
--@include generation

-- Generations of the unfinished executions that have the keys, and of the finished ones. All are read before anything is
-- written: if a key holds something else, everything is refused, since half of it would be placed without a reply.
local holders, finished = {}, {}
do
  local at = 4
  while at <= #ARGV do
    local last = at + 2 + 2 * ARGV[at + 3]
    if ARGV[at] == PLACEMENT.keyed or ARGV[at] == PLACEMENT.once then
      for item = at + 4, last, 2 do
        local key = ARGV[item]
        local record = redis.pcall('HMGET', records .. key, RECORD.state, RECORD.generation)
        if record.err then
          return redis.error_reply(record.err .. ': ' .. records .. key)
        elseif is_alive(record[1]) then
          holders[key] = record[2] or '0'
        elseif record[1] then
          finished[key] = record[2] or '0'
        end
      end
    end
    at = last + 2
  end
end

local generation = next_generations(ARGV[2])
local reply = { digits(now), digits(generation) }
local index = 0
local earliest

-- Returns the generation of the unfinished execution that has the key or, with 'once', of the finished one that had it.
-- When there is none, takes the key for the present item, and returns nothing.
local function holder_or_take(key, kind)
  local holder = holders[key] or kind == PLACEMENT.once and finished[key]
  if holder then
    return holder
  elseif finished[key] then
    redis.call('DEL', records .. key) -- the TTL, result and error of a finished execution must not outlive it
  end
  holders[key] = digits(generation)
end

-- The fields are known here, so this takes fewer steps than `enqueue` and `park`, which take any.
local function place_now(key, task, message)
  local id = redis.call('XADD', work, '*', ENTRY.key, key, ENTRY.message, message)
  redis.call('HSET', records .. key,
    RECORD.state, 'queued', RECORD.generation, digits(generation), RECORD.entry, STREAM.work .. id, RECORD.task, task)
  if #message > LARGE_BYTES then
    announce_large(prefix .. KEY.large)
  end
  if has_listeners then
    publish_state(key, generation, 'queued')
  end
end

local function place_later(key, kind, task, due, message)
  local score = digits(due)
  earliest = math.min(earliest or due, due)
  if kind == PLACEMENT.lean then
    redis.call('HSET', prefix .. KEY.parked .. key,
      PARKED.message, message, PARKED.due, score, PARKED.placed, digits(generation))
    redis.call('ZADD', schedule, score, TAG.lean .. key)
    return
  end
  redis.call('HSET', records .. key,
    RECORD.state, 'scheduled', RECORD.generation, digits(generation), RECORD.entry, '', RECORD.task, task,
    RECORD.due, score, PARKED.message, message)
  redis.call('ZADD', schedule, score, TAG.recorded .. key)
  if has_listeners then
    publish_state(key, generation, 'scheduled')
  end
end

local at = 4
while at <= #ARGV do
  local kind, task, count = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 3])
  local due = due_time(ARGV[at + 2])
  at = at + 4
  for item = at, at + 2 * count - 2, 2 do
    local key = ARGV[item]
    local holder = (kind == PLACEMENT.keyed or kind == PLACEMENT.once) and holder_or_take(key, kind)
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
