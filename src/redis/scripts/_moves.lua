-- Executions on their way from one place to another. What travels is a table of the entry's fields (README.md), those that
-- this version does not know included. Where an execution is parked its fields lie in its record, or apart from all
-- records when it keeps none: 'm' and 'w' by their names, the others with a 'p' before them.

-- Members of the schedule and of limits say who waits: 'k' and the key of a record, or 'l' and the id of an execution
-- that has none, whose message lies apart so that no user's key can meet an id.
local function parked_at(member)
  local name = string.sub(member, 2)
  return prefix .. (string.sub(member, 1, 1) == 'k' and 'run:' or 'parked:') .. name, name
end

-- The fields of an entry; nil when it is gone. The due time of one that was due at once is the time it was added.
local function read_entry(token)
  local id = string.sub(token, 2)
  local entry = redis.call('XRANGE', stream_of(token), id, id)[1]
  if entry then
    local moving = {}
    for at = 1, #entry[2], 2 do
      moving[entry[2][at]] = entry[2][at + 1]
    end
    moving.w = moving.w or string.match(id, '^%d+')
    if not moving.k then
      moving.g = moving.g or id -- where it stands among all placements, whatever becomes of the entry
    end
    return moving
  end
end

-- Adds an entry to stream 'w' or 'f' and answers with its token.
local function enqueue(letter, moving)
  local fields = {}
  for name, value in pairs(moving) do
    fields[#fields + 1] = name
    fields[#fields + 1] = value
  end
  local token = letter .. redis.call('XADD', stream_of(letter), '*', unpack(fields))
  if moving.k then
    redis.call('HSET', prefix .. 'run:' .. moving.k, 's', 'queued', 'e', token)
  end
  return token
end

-- Parks an execution in `state`; `id` is its own when it has no record. Answers with its member. Slots are not kept.
local function park(moving, id, state)
  local fields = { 'm', moving.m, 'w', moving.w }
  for name, value in pairs(moving) do
    if name ~= 'm' and name ~= 'w' and name ~= 'k' and name ~= 'h' then
      fields[#fields + 1] = 'p' .. name
      fields[#fields + 1] = value
    end
  end
  local member = moving.k and 'k' .. moving.k or 'l' .. id
  local parked = parked_at(member)
  redis.call('HSET', parked, unpack(fields))
  if moving.k then
    redis.call('HSET', parked, 's', state, 'e', '')
  end
  return member
end

-- Takes what is parked from there; its message is nil when it was lost, its generation when it keeps no record.
local function unpark(member)
  local parked, name = parked_at(member)
  local stored = redis.call('HGETALL', parked)
  local moving, gone, generation = {}, { 'm', 'n', 'l' }, nil
  for at = 1, #stored, 2 do
    local field, value = stored[at], stored[at + 1]
    if field == 'm' or field == 'w' then
      moving[field] = value
    elseif field == 'g' then
      generation = value
    elseif string.sub(field, 1, 1) == 'p' then
      moving[string.sub(field, 2)] = value
      gone[#gone + 1] = field
    end
  end
  if string.sub(member, 1, 1) == 'k' then
    moving.k = name
    redis.call('HDEL', parked, unpack(gone))
  else
    redis.call('DEL', parked)
  end
  return moving, generation
end

-- Schedulers sleep until the head of the schedule is due; a new head wakes them.
local function wake_if_head(schedule, score)
  if tonumber(redis.call('ZRANGE', schedule, 0, 0, 'WITHSCORES')[2]) == score then
    redis.pcall('PUBLISH', prefix .. 'wake', digits(score))
  end
end

local function schedule_at(schedule, score, member)
  redis.call('ZADD', schedule, digits(score), member)
  wake_if_head(schedule, score)
end

-- Ends an execution that has a record.
local function close(key, ttl, state, ...)
  local run = prefix .. 'run:' .. key
  local generation = listened and redis.call('HGET', run, 'g')
  if tonumber(ttl) == 0 then
    redis.call('DEL', run)
  else
    redis.call('HSET', run, 's', state, 'c', digits(now), 'e', '', ...)
    redis.call('PEXPIRE', run, ttl)
  end
  if generation then
    changed(key, generation, state)
  end
end
