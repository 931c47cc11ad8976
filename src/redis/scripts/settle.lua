-- Writes what became of executions, each only if its entry is still there: an entry that is gone means that the lease
-- ran out and somebody else owns the execution (or has settled it), so nothing of the stale owner may be written.
-- Acknowledging comes first: it frees memory, and so lifts an out-of-memory refusal for the writes that follow.
-- KEYS  work, front, schedule
-- ARGV  prefix, number of items, their tokens, then in the same order groups of one kind:
--         'finished',  '', count (of executions without a record that hold slots: there is nothing to write)
--         'completed', ttl (ms), count, then count times: key
--         'returned',  ttl, count, then count times: key, result
--         'ended',     ttl, count, then count times: key, state, result ('' none), error, error line, task ('' or the
--                      name of the automatic task whose chain ends with this)
--         'again',     ttl, count, then count times: 'w' | 'f' | '+n' | '@n' (which stream, n ms from now, or at n),
--                      message ('' as it is), '1' to keep the due time, deliveries, charges, put-backs ('' none),
--                      once ('' as it is, see admit.lua), id (of an execution without a record)
--         'next',      ttl, count, then count times: key ('' without a record), state this run ended in, '+n' | '@n'
--                      (when the next is due, the past means now), message, id
-- Reply indexes (from 0) of the items that were fenced off (the lease or the key had passed on), then the texts of errors met while writing
--@include now
local prefix, count = ARGV[1], tonumber(ARGV[2])
local runs = prefix .. 'run:'
--@include events
--@include entries
--@include moves
--@include slots
--@include generation

local tokens = {}
for i = 1, count do
  tokens[i] = ARGV[2 + i]
end

-- What goes on is read before its entry goes. The usual groups need none of it.
local moving = {}
do
  local item, at = 1, 3 + count
  local width = { finished = 0, completed = 1, returned = 2, ended = 6, again = 8, next = 5 }
  while at <= #ARGV do
    local size = tonumber(ARGV[at + 2])
    if ARGV[at] == 'again' then
      for i = item, item + size - 1 do
        moving[i] = read_entry(tokens[i])
      end
    end
    item = item + size
    at = at + 3 + width[ARGV[at]] * size
  end
end

local fenced = {}

-- Whether the i-th entry was still there, and so its outcome may be written. The usual case, all of them were, costs two
-- calls per stream instead of two per entry.
local owned = {}
do
  local ids = { w = {}, f = {} }
  for i = 1, count do
    local list = ids[string.sub(tokens[i], 1, 1)]
    list[#list + 1] = string.sub(tokens[i], 2)
  end
  local all = true
  for letter, list in pairs(ids) do
    if #list > 0 then
      all = redis.call('XACK', stream_of(letter), 'workers', unpack(list)) == #list and all
    end
  end
  for letter, list in pairs(ids) do
    if all and #list > 0 then
      redis.call('XDEL', stream_of(letter), unpack(list))
    end
  end
  for i = 1, count do
    owned[i] = all or remove(tokens[i])
    if not owned[i] then
      fenced[#fenced + 1] = i - 1
    end
  end
end

-- An execution whose key was given to another while it ran has nothing left to write.
local superseded = prefix .. 'superseded'
if redis.call('EXISTS', superseded) == 1 then
  for i = 1, count do
    if redis.call('SREM', superseded, tokens[i]) == 1 and owned[i] then
      owned[i] = false
      fenced[#fenced + 1] = i - 1
    end
  end
end

local function is_cancelled(key)
  return redis.call('HGET', runs .. key, 'z') == '1'
end

-- Of an execution without a record; the worker may not have heard of it yet. Nobody will meet the id again.
local function is_id_cancelled(id)
  return redis.call('ZREM', prefix .. 'cancelled', id) == 1
end

local item -- number of the one being written

local function time_of(where)
  local ms = tonumber(string.sub(where, 2))
  return math.max(now, string.sub(where, 1, 1) == '+' and now + ms or ms)
end

local function go_on(ttl, at)
  local where = ARGV[at]
  local moved, key = moving[item], moving[item].k
  if key and is_cancelled(key) then
    return close(key, ttl, 'cancelled')
  elseif not key and is_id_cancelled(ARGV[at + 7]) then
    return
  end
  local isQueued = where == 'w' or where == 'f'
  local due = isQueued and now or time_of(where)
  local function set(name, value)
    moved[name] = value ~= '' and value or nil
  end
  if ARGV[at + 1] ~= '' then
    moved.m = ARGV[at + 1]
    moved.u = nil -- was booked for the attempt before, which has started
  end
  if ARGV[at + 2] == '' then
    moved.w = not isQueued and digits(due) or nil
  end
  set('d', ARGV[at + 3])
  set('c', ARGV[at + 4])
  set('p', ARGV[at + 5])
  moved.o = ARGV[at + 6] ~= '' and ARGV[at + 6] or moved.o
  if key and redis.call('HGET', runs .. key, 's') == 'running' then
    redis.call('HDEL', runs .. key, 'i', 'j', 'o', 'u', 'v') -- the next run counts anew
  end
  -- The same attempt, straight to the front, keeps its slots, so that nobody who waits passes it.
  local needs = where == 'f' and held_by(tokens[item])
  moved.h = needs and '1' or nil
  if isQueued then
    local token = enqueue(where, moved)
    if needs then
      hand_on_slots(tokens[item], token, needs)
    end
  else
    schedule_at(KEYS[3], due, park(moved, ARGV[at + 7], 'scheduled'))
  end
  if listened and key then
    changed(key, redis.call('HGET', runs .. key, 'g'), isQueued and 'queued' or 'scheduled')
  end
end

local function run_next(ttl, at)
  local key, due = ARGV[at], time_of(ARGV[at + 2])
  local following = { m = ARGV[at + 3], w = digits(due) }
  if key ~= '' then
    if is_cancelled(key) then
      return close(key, ttl, 'cancelled')
    end
    local run = runs .. key
    local generation = next_generations(1)
    if listened then
      changed(key, redis.call('HGET', run, 'g'), ARGV[at + 1])
    end
    redis.call('HDEL', run, 'a', 'k', 'b', 'c', 'r', 'x', 'y', 'i', 'j', 'o', 'u', 'v')
    redis.call('HSET', run, 'g', digits(generation), 'w', digits(due))
    following.k = key
    if listened then
      changed(key, generation, due > now and 'scheduled' or 'queued')
    end
  elseif is_id_cancelled(ARGV[at + 4]) then
    return
  else
    following.g = digits(next_generations(1))
  end
  if due > now then
    schedule_at(KEYS[3], due, park(following, ARGV[at + 4], 'scheduled'))
  else
    enqueue('w', following)
  end
end

local write = {
  finished = { 0, function() end },
  completed = { 1, function(ttl, at)
    close(ARGV[at], ttl, 'completed')
  end },
  returned = { 2, function(ttl, at)
    close(ARGV[at], ttl, 'completed', 'r', ARGV[at + 1])
  end },
  ended = { 6, function(ttl, at)
    local fields = {}
    for i, name in ipairs({ 'r', 'x', 'y' }) do
      if ARGV[at + 1 + i] ~= '' then
        fields[#fields + 1] = name
        fields[#fields + 1] = ARGV[at + 1 + i]
      end
    end
    if ARGV[at + 5] ~= '' then
      redis.call('HSET', prefix .. 'ended', ARGV[at + 5], '1')
    end
    close(ARGV[at], ttl, ARGV[at + 1], unpack(fields))
  end },
  again = { 8, go_on },
  next = { 5, run_next },
}

-- Nothing is rolled back when a write fails, and the entries are gone: one bad record must not take the others with it.
local errors = {}
local function attempt(apply, ...)
  local isWritten, problem = pcall(apply, ...)
  if not isWritten then
    errors[#errors + 1] = type(problem) == 'table' and problem.err or tostring(problem)
  end
end

local at = 3 + count
item = 1
while at <= #ARGV do
  local ttl, size = ARGV[at + 1], tonumber(ARGV[at + 2])
  local width, apply = write[ARGV[at]][1], write[ARGV[at]][2]
  at = at + 3
  for _ = 1, size do
    if owned[item] then
      attempt(apply, ttl, at)
    end
    item = item + 1
    at = at + width
  end
end
attempt(release_slots, tokens)
attempt(write_slots)
return { fenced, errors }
