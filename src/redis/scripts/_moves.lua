-- Moves executions from one place to another. On the way an execution is a table of its entry's fields, including those
-- that this version does not know. Where it is parked, its fields lie in its record, or apart from all records when it
-- has none: message and due time under their own names, the others with a prefix.
--@include fields
--@include large
--@include chains

-- Returns the key of the hash in which the member of a schedule or limit is parked, and the name behind the letter.
local function parked_at(member)
  local name = string.sub(member, 2)
  return prefix .. (string.sub(member, 1, 1) == LETTER.recorded and KEY.record or KEY.parked) .. name, name
end

-- Returns the fields of an entry, or nil when it is gone. An entry without a due time was due when it was added.
local function read_entry(token)
  local id = string.sub(token, 2)
  local entry = is_token(token) and redis.call('XRANGE', stream_of(token), id, id)[1]
  if entry then
    local moving = fields_of(entry[2])
    moving[ENTRY.due] = moving[ENTRY.due] or string.match(id, '^%d+')
    moving[ENTRY.priority] = priority_of(token) or moving[ENTRY.priority]
    if not moving[ENTRY.key] then
      moving[ENTRY.placed] = moving[ENTRY.placed] or id -- its place among all placements, whatever becomes of the entry
    end
    return moving
  end
end

-- Returns the letter of the stream that an execution goes to, by its priority, when one of normal priority goes to `front` or
-- `work`. An execution that holds permits goes to the front in any case: others may wait for them.
local function stream_for(letter, moving)
  local priority = moving[ENTRY.priority]
  if priority == STREAM.low then
    return moving[ENTRY.holds_permits] and STREAM.front or STREAM.low
  end
  return priority == STREAM.high and letter == STREAM.work and STREAM.high or letter
end

-- Adds an entry to `front` or `work`, or to the stream of its priority instead. Returns its token.
local function enqueue(letter, moving)
  local fields = {}
  for name, value in pairs(moving) do
    fields[#fields + 1] = name
    fields[#fields + 1] = value
  end
  letter = stream_for(letter, moving)
  local token = letter .. redis.call('XADD', stream_of(letter), '*', unpack(fields))
  if #(moving[ENTRY.message] or '') > LARGE_BYTES then
    announce_large(prefix .. KEY.large)
  end
  if moving[ENTRY.key] then
    redis.call('HSET', prefix .. KEY.record .. moving[ENTRY.key], RECORD.state, 'queued', RECORD.entry, token)
  end
  return token
end

-- Parks an execution in `state`, without its permits. `id` names it when it has no record. Returns its member.
local function park(moving, id, state)
  local fields = { PARKED.message, moving[ENTRY.message], PARKED.due, moving[ENTRY.due] }
  if moving[ENTRY.key] then
    fields = { PARKED.message, moving[ENTRY.message], PARKED.due, moving[ENTRY.due], RECORD.state, state, RECORD.entry, '' }
  end
  for name, value in pairs(moving) do
    if name ~= ENTRY.message and name ~= ENTRY.due and name ~= ENTRY.key and name ~= ENTRY.holds_permits then
      fields[#fields + 1] = PARKED_PREFIX .. name
      fields[#fields + 1] = value
    end
  end
  local member = moving[ENTRY.key] and LETTER.recorded .. moving[ENTRY.key] or LETTER.lean .. id
  local parked = parked_at(member)
  redis.call('HSET', parked, unpack(fields))
  return member
end

-- Takes a parked execution from its place. Returns its fields, without a message when that was lost, and the generation
-- of its record, nil when it has none.
local function unpark(member)
  local parked, name = parked_at(member)
  local stored = redis.call('HGETALL', parked)
  local moving, removed, generation = {}, { PARKED.message, PARKED.needs, PARKED.limit }, nil
  for at = 1, #stored, 2 do
    local field, value = stored[at], stored[at + 1]
    if field == PARKED.message or field == PARKED.due then
      moving[field] = value -- the same letters in an entry
    elseif field == RECORD.generation then
      generation = value
    elseif string.sub(field, 1, 1) == PARKED_PREFIX then
      moving[string.sub(field, 2)] = value
      removed[#removed + 1] = field
    end
  end
  if string.sub(member, 1, 1) == LETTER.recorded then
    moving[ENTRY.key] = name
    redis.call('HDEL', parked, unpack(removed))
  else
    redis.call('DEL', parked)
  end
  return moving, generation
end

-- Schedulers sleep until the head of the schedule is due. A new head wakes them.
local function wake_if_head(schedule, score)
  if tonumber(redis.call('ZRANGE', schedule, 0, 0, 'WITHSCORES')[2]) == score then
    redis.pcall(publish_command(), KEYS[#KEYS] .. CHANNEL.wake, digits(score))
  end
end

local function schedule_at(schedule, score, member)
  redis.call('ZADD', schedule, digits(score), member)
  wake_if_head(schedule, score)
end

-- Ends an execution that has a record and is not a run of a chain. `...` are more fields for the record, each followed by its
-- value.
local function end_single(key, ttl, state, ...)
  local record_key = prefix .. KEY.record .. key
  local generation = has_listeners and redis.call('HGET', record_key, RECORD.generation)
  if tonumber(ttl) == 0 then
    redis.call('DEL', record_key)
  else
    redis.call('HSET', record_key, RECORD.state, state, RECORD.ended, digits(now), RECORD.entry, '', ...)
    redis.call('PEXPIRE', record_key, digits(ttl))
  end
  if generation then
    publish_state(key, generation, state, tonumber(ttl) > 0 and outcome_of(...) or nil)
  end
end

-- The same, for an execution that may be a run of a chain.
local function end_execution(key, ttl, state, ...)
  forget_chain(key)
  end_single(key, ttl, state, ...)
end

-- Ends an execution whose message is gone, so that nobody can run it.
local function end_lost(key)
  end_execution(key, DEFAULT_TTL_MS, 'failed', RECORD.error_line, 'its message was lost')
end
