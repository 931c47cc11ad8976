-- Places executions that have a record: due ones on the stream of their priority, later ones parked and on the schedule.
-- KEYS  work, front, schedule, strikes
-- ARGV  prefix, number of items, version of the strikes they were checked against, then groups of items that agree in
--       all but key and message: kind of placement, task, due (see _due.lua), chain ('' for none), priority, count, then
--       count times: key, message
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
local schedule = KEYS[3]
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
    local last = at + 4 + 2 * ARGV[at + 5]
    if ARGV[at] == PLACEMENT.keyed or ARGV[at] == PLACEMENT.once then
      for item = at + 6, last, 2 do
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
local earliest

-- Returns the generation of the unfinished execution that has the key or, with 'once', of the finished one that had it.
-- When there is none, takes the key for the item of this generation, and returns nothing.
local function holder_or_take(key, kind, placed)
  local holder = holders[key] or kind == PLACEMENT.once and finished[key]
  if holder then
    return holder
  elseif finished[key] then
    redis.call('DEL', records .. key) -- the TTL, result and error of a finished execution must not outlive it
  end
  holders[key] = placed
end

-- `...` is the field of the priority and its value, if there is one.
local function place_later(key, kind, task, due, message, placed, ...)
  local score = digits(due)
  earliest = math.min(earliest or due, due)
  if kind == PLACEMENT.lean then
    redis.call('HSET', prefix .. KEY.parked .. key,
      PARKED.message, message, PARKED.due, score, PARKED.placed, placed, ...)
    redis.call('ZADD', schedule, score, LETTER.lean .. key)
    return
  end
  redis.call('HSET', records .. key,
    RECORD.state, 'scheduled', RECORD.generation, placed, RECORD.entry, '', RECORD.task, task,
    RECORD.due, score, PARKED.message, message, ...)
  redis.call('ZADD', schedule, score, LETTER.recorded .. key)
  if has_listeners then
    publish_state(key, placed, 'scheduled')
  end
end

-- The generation of an item as text, without its last digit. The numbers of the items follow each other, so that one in
-- ten is formatted, which costs 0.6 us.
local unit_digits = { [0] = '0', '1', '2', '3', '4', '5', '6', '7', '8', '9' }
local unit = generation % 10
local tens = digits((generation - unit) / 10)

-- Most executions are due now and new. The commands that they need stand in the loop itself, and are looked up once. The fields
-- are known here, so this takes fewer steps than `enqueue` and `park`, which take any.
local call, arguments, has_large, index = redis.call, ARGV, false, 0
local at = 4
while at <= #arguments do
  local kind, task, chain = arguments[at], arguments[at + 1], arguments[at + 3]
  local priority, count = arguments[at + 4], tonumber(arguments[at + 5])
  local letter = priority == PRIORITY.normal and STREAM.work or priority
  local stream = stream_of(letter)
  local due = due_time(arguments[at + 2])
  local may_be_taken = kind == PLACEMENT.keyed or kind == PLACEMENT.once
  at = at + 6
  for item = at, at + 2 * count - 2, 2 do
    local key, message, placed = arguments[item], arguments[item + 1], tens .. unit_digits[unit]
    local holder = may_be_taken and holder_or_take(key, kind, placed)
    if holder then
      reply[#reply + 1] = index
      reply[#reply + 1] = holder
    elseif due > now and letter == STREAM.work then
      place_later(key, kind, task, due, message, placed)
    elseif due > now then
      place_later(key, kind, task, due, message, placed, PARKED.priority, priority)
    else
      local id = call('XADD', stream, '*', ENTRY.key, key, ENTRY.message, message)
      call('HSET', records .. key,
        RECORD.state, 'queued', RECORD.generation, placed, RECORD.entry, letter .. id, RECORD.task, task)
      has_large = has_large or #message > LARGE_BYTES
      -- Whoever waits for the result of an earlier execution under the key must hear that it has another one.
      if are_all_heard or has_listeners and may_be_taken then
        publish_state(key, placed, 'queued')
      end
    end
    if chain ~= '' and not holder then
      remember_chain(key, chain)
    end
    index = index + 1
    unit = unit + 1
    if unit == 10 then
      unit, generation = 0, generation + 10
      tens = digits(math.floor(generation / 10))
    end
  end
  at = at + 2 * count
end

if has_large then
  announce_large(prefix .. KEY.large)
end
if earliest then
  wake_if_head(schedule, earliest)
end
return reply
