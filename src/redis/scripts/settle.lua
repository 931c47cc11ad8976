-- Writes settlements, each only if its entry is still there. An entry that is gone means that the lease
-- ran out and another worker owns the execution, or has settled it. Then nothing of the stale owner may be written.
-- Acknowledging comes first: it frees memory, and so lifts an out-of-memory refusal for the writes that follow.
-- KEYS  work, front, schedule
-- ARGV  prefix, tokens of the items, separated by spaces, then in the same order groups of one kind (SETTLEMENT_WIDTH):
--         'unrecorded', '', count
--         'completed', ttl (ms), count, then count times: key
--         'completedWithResult', ttl, count, then count times: key, result
--         'ended', ttl, count, then count times: key, state, result, error, error line, name of the automatic task
--           whose chain ends with this, message to keep (each of the last five '' for none)
--         'chainEnded', as 'ended', of a run with which its chain ends
--         'moved', ttl, count, then count times: destination (letter of a stream, or due time as in _due.lua), message
--           ('' as it is), '1' to keep the due time, deliveries, charges, reroutes (each '' for none), admission stage
--           ('' as it is), id (of an execution without a record), booking ('' as it is, '-' none)
--         'rerouted', as 'moved', and behind the booking the name of the task
--         'paused', as 'moved', with the line of its task as the destination, and behind the booking its ticket ('' with a
--           record)
--         'retried', as 'moved', and behind the booking the error line of the attempt that failed
--         'followed', ttl, count, then count times: key ('' without a record), state in which this run ended, due time
--           of the next run (as in _due.lua), message, id, error line of this run, chain, priority
--         'failures', bounds (ttl in ms, number and bytes, separated by spaces), count, then behind all others count times,
--           about items that are kept as failures too: index (from 0), error name, error line, error, worker, thread,
--           start (ms; each of the last two '' when it is not known)
-- Reply indexes (from 0) of the items that were fenced off (the lease or the key had passed on), then the texts of
--       errors met while writing
--@include now
local prefix = ARGV[1]
local records = prefix .. KEY.record
--@include due
--@include events
--@include entries
--@include acknowledge
--@include moves
--@include permits
--@include generation
--@include guard
--@include quarantine
--@include words

local tokens = words_of(ARGV[2])
local count = #tokens

local width = SETTLEMENT_WIDTH

-- Entries that move on, or fail, are read before they are removed. The usual groups need none of this.
local moves = { moved = true, rerouted = true, paused = true, retried = true }
local moving = {}
local failing -- what is known of items that fail, once there are any
do
  local item, at = 1, 3
  while at <= #ARGV do
    local size = tonumber(ARGV[at + 2])
    if moves[ARGV[at]] then
      for i = item, item + size - 1 do
        moving[i] = read_entry(tokens[i])
      end
    elseif ARGV[at] == 'failures' then
      failing = {}
      for i = 0, size - 1 do
        local index = ARGV[at + 3 + i * width.failures] + 1
        local entry = read_entry(tokens[index])
        local key = entry and entry[ENTRY.key]
        failing[index] = entry and {
          entry = entry,
          record = key and redis.pcall('HMGET', records .. key, RECORD.generation, RECORD.started) or {},
        }
      end
    end
    item = item + size
    at = at + 3 + width[ARGV[at]] * size
  end
end

local fenced = {}

-- Whether the i-th entry was still there, so that its outcome may be written. In the usual case all of them were, which
-- costs a few calls per stream instead of two per entry.
local owned = {}
do
  local ids = {}
  for _, letter in ipairs(STREAM_LETTERS) do
    ids[letter] = {}
  end
  for i = 1, count do
    local list = ids[string.sub(tokens[i], 1, 1)]
    list[#list + 1] = string.sub(tokens[i], 2)
  end
  local all = true
  for letter, list in pairs(ids) do
    if #list > 0 then
      all = redis.call('XACK', stream_of(letter), GROUP, unpack(list)) == #list and all
    end
  end
  for letter, list in pairs(ids) do
    if all and #list > 0 then
      delete_acknowledged(stream_of(letter), list)
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
local superseded = prefix .. KEY.superseded
if redis.call('EXISTS', superseded) == 1 then
  for i = 1, count do
    if redis.call('SREM', superseded, tokens[i]) == 1 and owned[i] then
      owned[i] = false
      fenced[#fenced + 1] = i - 1
    end
  end
end

-- That set expires. An entry that is old enough to have been forgotten is compared with the record, which names the entry of
-- the execution that has the key now.
local forgotten_before = now - SUPERSEDED_TTL_MS
local function has_lost_key(token, key)
  local added = tonumber(string.sub(token, 2, 14)) -- the milliseconds of its id
  if added and added > forgotten_before then
    return false
  end
  return redis.call('HGET', records .. key, RECORD.entry) ~= token
end

local function is_cancelled(key)
  return redis.call('HGET', records .. key, RECORD.cancelled) == '1'
end

local earliest -- due time of the first that was put on the schedule

local function put_on_schedule(due, member)
  redis.call('ZADD', KEYS[3], digits(due), member)
  earliest = math.min(earliest or due, due)
end

-- Looks for the cancel of an execution without a record, which the worker may not have heard of yet, and forgets it:
-- nobody will meet the id again.
local function take_cancel(id)
  return redis.call('ZREM', prefix .. KEY.cancelled, id) == 1
end

local item -- number of the item that is being written
local ticket_shift = TICKET_SHIFT

-- Returns the member and its due time when the execution is on the schedule now. Whether a line of a pause is its destination is
-- decided here: the worker may not have heard of the resume. Then the execution goes to `front`, as if it were requeued.
local function move_on(ttl, at)
  local destination, moved = ARGV[at], moving[item]
  local line = is_line_of_pause(destination) and is_paused(destination) and destination
  if is_line_of_pause(destination) and not line then
    destination = STREAM.front
  end
  if not moved then
    error('the entry ' .. tokens[item] .. ' was deleted by hand', 0)
  end
  local key = moved[ENTRY.key]
  local record = key and redis.call('HMGET', records .. key, RECORD.cancelled, RECORD.state)
  if key and record[1] == '1' then
    return end_execution(key, ttl, 'cancelled')
  elseif not key and take_cancel(ARGV[at + 7]) then
    return
  end
  local is_queued = line or destination == STREAM.work or destination == STREAM.front
  local due = is_queued and now or math.max(now, due_time(destination))
  local function set(name, value)
    moved[name] = value ~= '' and value or nil
  end
  if ARGV[at + 1] ~= '' then
    moved[ENTRY.message] = ARGV[at + 1]
    moved[ENTRY.booking] = nil -- it was for the attempt before, which has started
  end
  if ARGV[at + 2] == '' then
    moved[ENTRY.due] = not is_queued and digits(due) or nil
  end
  set(ENTRY.deliveries, ARGV[at + 3])
  set(ENTRY.charges, ARGV[at + 4])
  set(ENTRY.reroutes, ARGV[at + 5])
  moved[ENTRY.stage] = ARGV[at + 6] ~= '' and ARGV[at + 6] or moved[ENTRY.stage]
  if ARGV[at + 8] ~= '' then
    moved[ENTRY.booking] = ARGV[at + 8] ~= '-' and ARGV[at + 8] or nil
  end
  if key and record[2] == 'running' then
    redis.call('HDEL', records .. key, unpack(PROGRESS_FIELDS)) -- the next attempt counts from 0
  end
  -- The same attempt, straight to the front, keeps its permits, so that no waiter passes it.
  local needs = destination == STREAM.front and permits_of(tokens[item])
  moved[ENTRY.holds_permits] = needs and '1' or nil
  local member
  if line then
    local ticket = key and redis.call('HGET', records .. key, RECORD.generation) or ARGV[at + 9]
    ticket = (tonumber(ticket) or 0) + (ticket_shift[moved[ENTRY.priority]] or 0)
    wait_at(line, ticket, park(moved, ARGV[at + 7], 'queued'), '')
  elseif is_queued then
    local token = enqueue(destination, moved)
    if needs then
      hand_on_permits(tokens[item], token, needs)
    end
  else
    member = park(moved, ARGV[at + 7], 'scheduled')
    put_on_schedule(due, member)
  end
  if has_listeners and key then
    publish_state(key, redis.call('HGET', records .. key, RECORD.generation), is_queued and 'queued' or 'scheduled')
  end
  return member, due
end

-- A worker that has the task recalls the execution. Those that are due last have the longest to wait, so they are kept.
local function reroute(ttl, at)
  local member, due = move_on(ttl, at)
  if member then
    local rerouted = prefix .. KEY.rerouted .. ARGV[at + 9]
    redis.pcall('ZADD', rerouted, digits(due), member) -- it is on the schedule in any case
    redis.pcall('ZREMRANGEBYRANK', rerouted, 0, -REROUTED_MEMBERS - 1)
    redis.call('PEXPIRE', rerouted, REROUTED_TTL_MS)
    redis.call('SADD', prefix .. KEY.recallable, ARGV[at + 9])
    redis.call('PEXPIRE', prefix .. KEY.recallable, REROUTED_TTL_MS)
  end
end

-- Keeps what is known of an attempt that failed, because the next claim overwrites it.
local function retry(ttl, at)
  local key = moving[item] and moving[item][ENTRY.key]
  local _, due = move_on(ttl, at)
  if not (due and key) then
    return
  end
  local attempt, started, worker, before = unpack(redis.call('HMGET', records .. key,
    RECORD.attempt, RECORD.started, RECORD.worker, RECORD.failed_attempts))
  local attempts = table.concat({
    attempt or '1', started or '', digits(now), (string.gsub(worker or '', '%c', ' ')), ARGV[at + 9],
  }, '\t')
  local kept = 1
  for line in string.gmatch(before or '', '[^\n]+') do
    kept = kept + 1
    if kept > FAILED_ATTEMPTS then
      break
    end
    attempts = attempts .. '\n' .. line
  end
  redis.call('HSET', records .. key, RECORD.failed_attempts, attempts)
end

local function follow(ttl, at)
  local key, due = ARGV[at], math.max(now, due_time(ARGV[at + 2]))
  local following = { [ENTRY.message] = ARGV[at + 3], [ENTRY.due] = digits(due) }
  following[ENTRY.priority] = ARGV[at + 7] ~= PRIORITY.normal and ARGV[at + 7] or nil
  if key ~= '' then
    if is_cancelled(key) then
      return end_execution(key, ttl, 'cancelled')
    end
    local record_key = records .. key
    local generation = next_generations(1)
    if has_listeners then
      publish_state(key, redis.call('HGET', record_key, RECORD.generation), ARGV[at + 1])
    end
    redis.call('HDEL', record_key, RECORD.attempt, RECORD.worker, RECORD.started, RECORD.ended,
      RECORD.result, RECORD.error, RECORD.error_line, RECORD.failed_attempts, unpack(PROGRESS_FIELDS))
    remember_chain(key, ARGV[at + 6], RECORD.generation, digits(generation), RECORD.due, digits(due),
      RECORD.last_run, ARGV[at + 1] .. ' ' .. digits(now) .. ' ' .. ARGV[at + 5])
    following[ENTRY.key] = key
    if has_listeners then
      publish_state(key, generation, due > now and 'scheduled' or 'queued')
    end
  elseif take_cancel(ARGV[at + 4]) then
    return
  else
    following[ENTRY.placed] = digits(next_generations(1))
  end
  if due > now then
    put_on_schedule(due, park(following, ARGV[at + 4], 'scheduled'))
  else
    enqueue(STREAM.work, following)
  end
end

local write = {
  unrecorded = function() end,
  completed = function(ttl, at)
    end_single(ARGV[at], ttl, 'completed')
  end,
  completedWithResult = function(ttl, at)
    end_single(ARGV[at], ttl, 'completed', RECORD.result, ARGV[at + 1])
  end,
  ended = function(ttl, at)
    local fields = {}
    local function set(name, value)
      if value ~= '' then
        fields[#fields + 1] = name
        fields[#fields + 1] = value
      end
    end
    set(RECORD.result, ARGV[at + 2])
    set(RECORD.error, ARGV[at + 3])
    set(RECORD.error_line, ARGV[at + 4])
    set(PARKED.message, ARGV[at + 6])
    if ARGV[at + 5] ~= '' then
      redis.call('HSET', prefix .. KEY.ended, ARGV[at + 5], '1')
    end
    end_single(ARGV[at], ttl, ARGV[at + 1], unpack(fields))
  end,
  moved = move_on,
  rerouted = reroute,
  paused = move_on,
  retried = retry,
  followed = follow,
}
function write.chainEnded(ttl, at)
  forget_chain(ARGV[at])
  write.ended(ttl, at)
end

-- Nothing is rolled back when a write fails, and the entries are gone: one bad record must not take the others with it.
local errors = {}
local function attempt(apply, first, second)
  errors[#errors + 1] = problem_of(apply, first, second)
end

-- Returns the key of the item's record; nil when it has none.
local function key_of(kind, at)
  if moves[kind] then
    return moving[item] and moving[item][ENTRY.key]
  elseif kind ~= 'unrecorded' and ARGV[at] ~= '' then
    return ARGV[at]
  end
end

-- Writes one item. An execution that was to go on, and cannot, would be gone with its entry: it goes into quarantine.
local function write_item(kind, ttl, at)
  local problem = problem_of(write[kind], ttl, at)
  errors[#errors + 1] = problem
  if problem and moving[item] then
    put_away(moving[item], problem)
  elseif problem and kind == 'followed' then
    put_away({ [ENTRY.key] = ARGV[at], [ENTRY.message] = ARGV[at + 3], [ENTRY.priority] = ARGV[at + 7] }, problem)
  end
end

local at = 3
item = 1
while at <= #ARGV do
  local kind, ttl, size = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
  at = at + 3
  if kind == 'failures' then
    break -- the last group, about items that are written by now
  end
  for _ = 1, size do
    if owned[item] then
      local key = key_of(kind, at)
      if key and has_lost_key(tokens[item], key) then
        owned[item] = false
        fenced[#fenced + 1] = item - 1
      else
        write_item(kind, ttl, at)
      end
    end
    item = item + 1
    at = at + width[kind]
  end
end

if failing then
  --@include failures
  local bounds, size = {}, tonumber(ARGV[at - 1])
  for number in string.gmatch(ARGV[at - 2], '%d+') do
    bounds[#bounds + 1] = number
  end

  -- Returns when an execution was added, as text in milliseconds: by its generation, or by the id of its first entry.
  local function added_at(placed)
    local first = tonumber(string.match(placed or '', '^%d+'))
    return first and digits(string.find(placed, '-', 1, true) and first or math.floor(first / 1000))
  end

  local function keep(failed)
    local entry, record = failed.entry, failed.record
    local key, message = entry[ENTRY.key], entry[ENTRY.message]
    failures().keep({
      [FAILURE.kind] = FAILURE_KIND.failed,
      [FAILURE.key] = key or id_of(message),
      [FAILURE.is_lean] = not key and '1' or nil,
      [FAILURE.priority] = entry[ENTRY.priority],
      [FAILURE.message] = message,
      [FAILURE.error_name] = ARGV[at + 1],
      [FAILURE.line] = ARGV[at + 2],
      [FAILURE.error] = ARGV[at + 3],
      [FAILURE.deliveries] = entry[ENTRY.deliveries],
      [FAILURE.worker] = ARGV[at + 4],
      [FAILURE.thread] = ARGV[at + 5],
      [FAILURE.added] = added_at(record[1] or entry[ENTRY.placed]),
      [FAILURE.started] = ARGV[at + 6] ~= '' and ARGV[at + 6] or record[2] or nil,
    })
  end

  attempt(failures, bounds)
  for _ = 1, size do
    local index = ARGV[at] + 1
    if owned[index] and failing[index] then
      attempt(keep, failing[index])
    end
    at = at + width.failures
  end
end
if earliest then
  attempt(wake_if_head, KEYS[3], earliest)
end
attempt(release_permits, tokens)
attempt(write_permits)
return { fenced, errors }
