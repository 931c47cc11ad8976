-- Looks at one page of all keys for executions that have lost their place: the record names an entry that is not there, or
-- the execution is parked and neither on the schedule nor at its limit. Deleted or trimmed streams, or a deleted schedule,
-- leave such executions behind. Every script changes record and place together, so no other execution looks like this.
-- KEYS  work, front, schedule
-- ARGV  prefix, where the scan of keys goes on ('0' from the start), '1' to mend: an execution whose message is known
--       goes back to the schedule, all others fail, and are kept as failures. Then the scan goes on where it was left,
--       and ARGV[2] is not read.
-- Reply where the scan goes on ('0' when it is over), number of executions whose message is known, number of the others, key
--       or id of the first ('' for none)
--@include now
--@include memory
local prefix, mends = ARGV[1], ARGV[3] == '1'
--@include events
--@include entries
--@include moves
--@include presence
--@include pauses
--@include quarantine

local records, parked = prefix .. KEY.record, prefix .. KEY.parked
local known, unknown, first, bytes = 0, 0, '', 0

local function member_of(key)
  if string.sub(key, 1, #records) == records then
    return LETTER.recorded .. string.sub(key, #records + 1)
  elseif string.sub(key, 1, #parked) == parked then
    return LETTER.lean .. string.sub(key, #parked + 1)
  end
end

local function has_place(member, token, limit)
  if token and token ~= '' then
    local is_there, copied = has_entry(token)
    bytes = bytes + copied
    return is_there
  end
  return redis.call('ZSCORE', KEYS[3], member)
    or limit and redis.call('ZSCORE', prefix .. KEY.limit .. limit, member)
end

-- The pauses may have been deleted by hand. Then nothing has left the line of a task that is no longer paused to a scheduler.
local function serve_resumed_line(line)
  if is_line_of_pause(line) and not is_paused(line) then
    redis.call('ZADD', prefix .. KEY.wakes, 0, line)
  end
end

local function put_back(key, member, due, generation)
  redis.call('HDEL', key, PARKED.needs, PARKED.limit)
  if string.sub(member, 1, 1) == LETTER.recorded then
    redis.call('HSET', key, RECORD.state, 'scheduled', RECORD.entry, '')
    publish_state(string.sub(member, 2), generation, 'scheduled')
  end
  schedule_at(KEYS[3], tonumber(due or '') or now, member)
end

local function give_up(key, member, is_cancelled)
  local name, is_lean = string.sub(member, 2), string.sub(member, 1, 1) == LETTER.lean
  if not is_cancelled then
    quarantine(name, 'its message was lost', nil, is_lean, nil, not is_lean and redis.call('HGET', key, RECORD.task) or nil)
  end
  if is_lean then
    redis.call('DEL', key)
  elseif is_cancelled then
    end_execution(name, DEFAULT_TTL_MS, 'cancelled')
  else
    end_lost(name)
  end
end

local function look_at(key)
  local member = member_of(key)
  if not member then
    return
  end
  local state, token, limit, due, generation, cancelled = unpack(redis.call('HMGET', key,
    RECORD.state, RECORD.entry, PARKED.limit, PARKED.due, RECORD.generation, RECORD.cancelled))
  if string.sub(member, 1, 1) == LETTER.recorded and not is_alive(state) then
    return
  elseif has_place(member, token, limit) then
    return mends and limit and serve_resumed_line(limit)
  end
  first = first == '' and string.sub(member, 2) or first
  local has_message = redis.call('HEXISTS', key, PARKED.message) == 1
  if has_message then
    known = known + 1
  else
    unknown = unknown + 1
  end
  if not mends then
    return
  elseif has_message and cancelled ~= '1' then
    put_back(key, member, due, generation)
  else
    give_up(key, member, cancelled == '1')
  end
end

local scan = prefix .. KEY.scan
local cursor = ARGV[2]
if mends then
  cursor = string.match(tostring(redis.call('GET', scan)), '^%d+$') or '0'
end
-- A few keys at first, then as many as the messages that are copied suggest.
local step, looked_at = 8, 0
repeat
  local page = redis.call('SCAN', cursor, 'MATCH', string.format('%s*', prefix), 'COUNT', step)
  for _, key in ipairs(page[2]) do
    pcall(look_at, key) -- a key of another type is no record
  end
  cursor, looked_at = page[1], looked_at + step
  step = math.min(4 * step, BATCH_ITEMS - looked_at, math.ceil((BATCH_BYTES - bytes) * looked_at / (bytes + 1)))
until cursor == '0' or step <= 0
if mends then
  redis.call('SET', scan, cursor, 'PX', SCAN_TTL_MS)
end
return { cursor, known, unknown, first }
