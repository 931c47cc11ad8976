-- Cancels an execution wherever it is. One that has not started ends at once. One that runs is stopped by its worker;
-- if the worker dies first, the execution is not run again. An id without a record may be on a stream or unknown. While
-- anything is on the streams, it is remembered for a day, for the worker that meets it: of the latest ids, as many are kept
-- as the docket has entries, and some thousands in any case.
-- KEYS  work, front, schedule
-- ARGV  prefix, key, token (from its own body; '' from outside), token of the entry as which an execution without a record
--       was seen on a stream ('' unless it was), where it goes by the move that was stopped there (RECORD.departing; '' for
--       none), name of a move by which it may come here, and the generation that it has then ('' for none), whether an id without
--       a record is remembered ('1' or '0'), entries of the whole docket as far as the caller knows
-- Reply the state it was found in ('' when that is not known), then 'removed', 'stopping', 'ended' or 'unknown', then the entries
--       of this partition if the id has no record; nothing when the token is no longer that of the record. While a worker moves it
--       to another partition: its state, 'departing', where it goes, its generation. Nothing is written then
--@include now
--@include memory
local prefix, key, token, seen = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local is_remembered, docket_entries = ARGV[8] == '1', tonumber(ARGV[9])
--@include events
--@include entries
--@include moves
--@include permits
--@include message
--@include forget
--@include displace
--@include trim
--@include stop_move

local move, generation = ARGV[6], ARGV[7]
if move ~= '' and stop_move(move) then
  return { 'queued', 'removed', 0 }
elseif generation ~= '' and redis.call('HGET', prefix .. KEY.record .. key, RECORD.generation) ~= generation then
  return { '', 'unknown', 0 } -- it came, and has ended or was replaced
end

if token ~= '' and redis.call('HGET', prefix .. KEY.record .. key, RECORD.entry) ~= token then
  return false
end
if redis.call('HEXISTS', prefix .. KEY.automatic, key) == 1 then
  redis.call('HSET', prefix .. KEY.ended, key, '1')
end
local record_key = prefix .. KEY.record .. key
local record = redis.call('HMGET', record_key,
  RECORD.state, RECORD.entry, RECORD.chain, RECORD.departing, RECORD.generation)
local state = record[1]
if record[4] and record[4] ~= ARGV[5] and (state == 'scheduled' or state == 'queued') then
  return { state, 'departing', record[4], record[5] or '' }
end
local outcome = state and 'ended' or 'unknown'
local entries = 0

-- Whether a worker has the entry.
local function is_read(entry)
  local id = string.sub(entry, 2)
  local pending = redis.pcall('XPENDING', stream_of(entry), GROUP, id, id, 1) -- an error before the first read
  return not pending.err and #pending > 0
end

-- Looks for an execution without a record where it was seen. Removes it if no worker has it; otherwise says that one has.
local function find_seen(entry)
  local moving = read_entry(entry)
  if not moving or moving[ENTRY.key] or id_of(moving[ENTRY.message]) ~= key then
    return
  elseif is_read(entry) then
    state, outcome = 'running', 'stopping'
    return
  end
  remove(entry)
  release_permits({ entry })
  forget_limits(LETTER.lean .. key, moving[ENTRY.due], moving[ENTRY.debounce], moving[ENTRY.booking])
  state, outcome = 'queued', 'removed'
end

if record[3] then
  forget_chain(key) -- no run follows, not even the one that runs now
end
if state == 'scheduled' or state == 'queued' then
  local message = displace(key)
  redis.call('HDEL', record_key, PARKED.needs, PARKED.limit)
  end_single(key, ttl_of(message), 'cancelled', PARKED.message, message or '')
  outcome = 'removed'
elseif state == 'running' and not ((record[2] or '') ~= '' and read_entry(record[2])) then
  end_single(key, DEFAULT_TTL_MS, 'cancelled') -- its entry was deleted, so no worker can settle it
  outcome = 'removed'
elseif state == 'running' then
  redis.call('HSET', record_key, RECORD.cancelled, '1')
  redis.pcall(publish_command(), KEYS[#KEYS] .. CHANNEL.cancel, record[2])
  outcome = 'stopping'
elseif not state then
  local parked, member = prefix .. KEY.parked .. key, LETTER.lean .. key
  local fields = redis.call('HMGET', parked,
    PARKED.message, PARKED.limit, PARKED.debounce, PARKED.booking, PARKED.due)
  local message, limit = fields[1], fields[2]
  if message then
    local was_scheduled = redis.call('ZREM', KEYS[3], member) == 1
    if not was_scheduled and limit then
      redis.call('ZREM', prefix .. KEY.limit .. limit, member)
      serve_waiters(limit)
    end
    forget_limits(member, fields[5], fields[3], fields[4])
    redis.call('DEL', parked)
    state, outcome = was_scheduled and 'scheduled' or 'queued', 'removed'
  else
    if seen ~= '' then
      find_seen(seen)
    end
    entries = count_entries()
    if is_remembered and entries > 0 and outcome ~= 'removed' then
      local cancelled = prefix .. KEY.cancelled
      trim(cancelled, now)
      redis.call('ZADD', cancelled, digits(now + CANCEL_REMEMBERED_MS), key)
      redis.call('PEXPIRE', cancelled, CANCEL_REMEMBERED_MS)
      local excess = redis.call('ZCARD', cancelled) - math.max(entries, docket_entries, CANCELS_REMEMBERED)
      if excess > 0 then
        redis.call('ZREM', cancelled, unpack(redis.call('ZRANGE', cancelled, 0, math.min(excess, BATCH_ITEMS) - 1)))
      end
      redis.pcall(publish_command(), KEYS[#KEYS] .. CHANNEL.cancel, member)
    end
  end
end
write_permits()
return { state or '', outcome, entries }
