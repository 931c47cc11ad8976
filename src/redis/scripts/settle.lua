-- Writes what became of executions, each only if its entry is still there: an entry that is gone means that the lease
-- ran out and somebody else owns the execution (or has settled it), so nothing of the stale owner may be written.
-- Acknowledging comes first: it frees memory, and so lifts an out-of-memory refusal for the writes that follow.
-- KEYS  work, front, schedule
-- ARGV  prefix, number of items, their tokens, then for each item one of
--         'done', key ('' without a record), ttl (ms), state, result ('' none), error, error line
--         'again', key ('' without a record), 'w' | 'f' | '+n' (which stream, or n ms from now), state of a record,
--                  message, due time to keep ('' the new one), deliveries ('' none), id of an execution without a record, task
-- Reply indexes (from 0) of the items that were fenced off
--@include now
local prefix, count = ARGV[1], tonumber(ARGV[2])
--@include events
--@include entries

local fenced = {}
local owned = {}
do
  -- The usual case, all entries are ours, costs two calls per stream instead of two per entry.
  local tokens = { w = {}, f = {} }
  for i = 1, count do
    local token = ARGV[2 + i]
    table.insert(tokens[string.sub(token, 1, 1)], string.sub(token, 2))
  end
  local all = true
  for letter, ids in pairs(tokens) do
    if #ids > 0 then
      all = redis.call('XACK', stream_of(letter), 'workers', unpack(ids)) == #ids and all
    end
  end
  if all then
    for letter, ids in pairs(tokens) do
      if #ids > 0 then
        redis.call('XDEL', stream_of(letter), unpack(ids))
      end
    end
  end
  for i = 1, count do
    owned[i] = all or remove(ARGV[2 + i])
    if not owned[i] then
      fenced[#fenced + 1] = i - 1
    end
  end
end

local function done(at)
  local key, ttl, state, result, err = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  if key == '' then
    return
  end
  local run = prefix .. 'run:' .. key
  local generation = listened and redis.call('HGET', run, 'g')
  if ttl == '0' then
    redis.call('DEL', run)
  else
    if err ~= '' then
      redis.call('HSET', run, 's', state, 'c', digits(now), 'e', '', 'x', err, 'y', ARGV[at + 5])
    elseif result ~= '' then
      redis.call('HSET', run, 's', state, 'c', digits(now), 'e', '', 'r', result)
    else
      redis.call('HSET', run, 's', state, 'c', digits(now), 'e', '')
    end
    redis.call('PEXPIRE', run, ttl)
  end
  if generation then
    changed(key, generation, state)
  end
end

local function again(at)
  local key, where, message, due, deliveries = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  local recorded = key ~= ''
  local run = prefix .. 'run:' .. (recorded and key or ARGV[at + 5])
  local state

  if string.sub(where, 1, 1) == '+' then
    local score = digits(now + tonumber(string.sub(where, 2)))
    state = 'scheduled'
    redis.call('HSET', run, 's', state, 'e', '', 'w', due ~= '' and due or score, 'm', message)
    if not recorded then
      redis.call('HSET', run, 'l', '1', 't', ARGV[at + 6])
    end
    redis.call('ZADD', KEYS[3], score, recorded and key or ARGV[at + 5])
    redis.call('PUBLISH', prefix .. 'wake', score)
  else
    state = 'queued'
    local fields = { 'm', message }
    if recorded then
      fields[#fields + 1] = 'k'
      fields[#fields + 1] = key
    end
    if due ~= '' then
      fields[#fields + 1] = 'w'
      fields[#fields + 1] = due
    end
    if deliveries ~= '' then
      fields[#fields + 1] = 'd'
      fields[#fields + 1] = deliveries
    end
    local id = redis.call('XADD', stream_of(where), '*', unpack(fields))
    if recorded then
      redis.call('HSET', run, 's', state, 'e', where .. id)
    end
  end
  if recorded and listened then
    changed(key, redis.call('HGET', run, 'g'), state)
  end
end

local at = 3 + count
for i = 1, count do
  local kind = ARGV[at]
  if kind == 'done' then
    if owned[i] then
      done(at + 1)
    end
    at = at + 7
  else
    if owned[i] then
      again(at + 1)
    end
    at = at + 8
  end
end
return fenced
