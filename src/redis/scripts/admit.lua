-- Claims executions whose tasks have limits: takes ownership of those that may run now, and makes the others wait.
-- KEYS  work, front, schedule
-- ARGV  prefix, worker, consumer, then groups of items, each with what they have in common:
--         attempt, ttl (ms), admission stage, '1' when they came with their permits, '1' when they have bookings, '1' when
--         they have records, priority, number of checks, then for each check, in the order in which they are passed:
--           'cooldown', name, window (ms)
--           'debounce', name, settle (ms)
--           'rate', name, max, per (ms), 'delay' | 'drop'
--         number of items, then for each item: key (id without a record), token, ticket ('' with a record),
--         needs of permits ('' as the item before, '-' none)
-- Reply for each item that was not admitted: index (from 0), then 'refused' (no longer ours), 'parked' (it waits, and
--       its entry is gone), 'failed' (left to its lease, or in quarantine where it could not be parked), or the kind of the
--       check that dropped it (ours to settle)
-- The call may be repeated when its reply was lost, also by the connection itself: an item that was admitted passes
-- again, unless it is late by now and a rate has no room for it any more.
--@include now
--@include memory
local prefix, worker, consumer = ARGV[1], ARGV[2], ARGV[3]
local records = prefix .. KEY.record
local schedule = KEYS[3]
--@include events
--@include entries
--@include moves
--@include permits
--@include rates
--@include start
--@include quarantine

-- The current group and item.
local attempt, ttl, stage, holds_permits, is_booked, is_recorded, priority, check_count
local name, token, ticket, needs
local generation -- of its record
local was_admitted -- by an earlier call whose reply was lost
local passed -- the rates that have room for it
local fields_removed -- those of its entry, once that is removed

local function member()
  return (is_recorded and LETTER.recorded or LETTER.lean) .. name
end

-- Returns the item's ticket: its generation if it has one.
local function place_in_line()
  return is_recorded and tonumber(generation or 0) or ticket or 0
end

-- Returns the item's ticket in the line of a limit.
local ticket_shift = TICKET_SHIFT
local function line_ticket()
  return place_in_line() + (ticket_shift[priority] or 0)
end

-- Names one placement through all its attempts and deliveries, by its member and its generation (or due time).
local function placement()
  return member() .. ' ' .. digits(is_recorded and place_in_line() or math.floor(ticket / 1000))
end

-- Removes the entry, and returns its fields; nil when it was deleted by hand. An item that cannot be parked then goes into
-- quarantine.
local function take_entry()
  fields_removed = read_entry(token)
  remove(token)
  return fields_removed
end

local function park_until(due, next_stage, debounce, booking)
  local moving = take_entry()
  if not moving then
    return 'refused'
  end
  moving[ENTRY.stage], moving[ENTRY.debounce], moving[ENTRY.booking] = next_stage, debounce, booking
  schedule_at(schedule, math.max(now, due), park(moving, name, 'scheduled'))
  if is_recorded and has_listeners then
    publish_state(name, generation, 'scheduled')
  end
  return 'parked'
end

-- Drops the winner that a debounce had before. A winner that is no longer parked is dropped when it is claimed.
local function drop_winner(winner, winner_ttl)
  if redis.call('ZREM', schedule, winner) == 1 then
    local moving = unpark(winner)
    if moving[ENTRY.key] then
      local kept = tonumber(winner_ttl or '') or DEFAULT_TTL_MS
      end_execution(moving[ENTRY.key], kept, 'cancelled', RECORD.error_line, 'dropped by its debounce')
    end
  end
end

-- Removes the bookings of an execution that will wait elsewhere.
local function leave_lines()
  for _, line in ipairs(passed) do
    if line.booking then
      remove_booking(line.rate, line.start)
    end
  end
end

-- Each check returns nothing when the item passes, and otherwise its result. Its arguments begin at `at`.
local checks = {
  cooldown = function(at)
    if stage ~= STAGE.new then
      return
    end
    local key, candidate = prefix .. KEY.cooldown .. ARGV[at], placement()
    if not redis.call('SET', key, candidate, 'NX', 'PX', ARGV[at + 1]) and redis.call('GET', key) ~= candidate then
      return 'cooldown'
    end
  end,

  debounce = function(at)
    if stage == STAGE.submission_admitted or stage == STAGE.attempt_admitted then
      return
    end
    local key, candidate = prefix .. KEY.debounce .. ARGV[at], member()
    local pending = redis.call('HMGET', key, DEBOUNCE.winner, DEBOUNCE.ticket, DEBOUNCE.ttl)
    local winner = pending[1]
    if stage == STAGE.debounce_over and (not winner or winner == candidate) then
      redis.call('DEL', key)
      return
    elseif winner and (tonumber(pending[2] or 0) or 0) > place_in_line() then
      return 'debounce'
    end
    if winner and winner ~= candidate then
      drop_winner(winner, pending[3])
    end
    redis.call('HSET', key,
      DEBOUNCE.winner, candidate, DEBOUNCE.ticket, digits(place_in_line()), DEBOUNCE.ttl, ttl)
    redis.call('PEXPIRE', key, digits(ARGV[at + 1] + DEBOUNCE_FORGOTTEN_MS))
    -- Parked even when that time is past: at the end of the stream it comes after all that was submitted meanwhile.
    return park_until(math.floor(place_in_line() / 1000) + ARGV[at + 1], STAGE.debounce_over, ARGV[at])
  end,

  -- Counts nothing yet: an execution is counted when it has passed all of its limits.
  rate = function(at)
    if stage == STAGE.attempt_admitted and not is_booked then
      return -- it has started before
    end
    local rate, start = open_rate(ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])), placement() .. ' ' .. attempt
    local has_place = (was_admitted or is_booked or not is_recorded) and uncount_start(rate, start)
    local booking = is_booked and booked_at(rate, start)
    local is_new = stage ~= STAGE.attempt_admitted and not was_admitted
    if has_place or has_room(rate, start, booking, is_new) then
      passed[#passed + 1] = { rate = rate, start = start, booking = booking }
      return
    end
    leave_lines()
    if ARGV[at + 3] == 'drop' then
      return 'rate'
    end
    release_permits({ token }) -- it waits without them
    return park_until(book(rate, start, booking, is_new), STAGE.attempt_admitted, nil, attempt .. ' ' .. rate.name)
  end,
}
local width = { cooldown = 2, debounce = 2, rate = 4 }

local function take_or_wait()
  if not is_recorded and redis.call('HEXISTS', permits, token) == 1 then
    return
  end
  local full = full_limit(needs, may_have_waiters and line_ticket() or 0)
  if not full then
    return take_permits(token, needs)
  end
  local moving = take_entry()
  if not moving then
    return 'refused'
  end
  leave_lines()
  moving[ENTRY.stage] = STAGE.attempt_admitted
  -- It starts later, and is counted then.
  moving[ENTRY.booking] = passed[1] and attempt .. ' ' .. passed[1].rate.name
  wait_at(full, line_ticket(), park(moving, name, 'queued'), needs)
  return 'parked'
end

-- Returns whether the entry still is the execution's, and so ours, and whether it was admitted before.
local function read_ownership()
  if is_recorded then
    local record = redis.call('HMGET', records .. name, RECORD.entry, RECORD.state, RECORD.generation)
    generation = record[3]
    return record[1] == token, record[2] == 'running'
  end
  return #redis.call('XCLAIM', stream_of(token), GROUP, consumer, 0, string.sub(token, 2), 'JUSTID') == 1
end

-- Runs the checks that begin at `at`, or only the rates among them. Returns the result that stopped the item, if any.
local function pass(at, only_rates)
  for _ = 1, check_count do
    local kind = ARGV[at]
    local result = (kind == 'rate' or not only_rates) and checks[kind](at + 1)
    if result then
      return result
    end
    at = at + 1 + width[kind]
  end
  if needs ~= '-' and not only_rates then
    return take_or_wait()
  end
end

-- Returns the result of an item that may not run.
local function admit(first_check)
  local is_owned
  is_owned, was_admitted = read_ownership()
  if not is_owned then
    remove(token)
    release_permits({ token })
    redis.call('SREM', prefix .. KEY.superseded, token)
    return 'refused'
  end
  passed = {}
  local is_past = holds_permits or was_admitted -- all but its rates, which count when it starts
  local result = (not is_past or is_booked or was_admitted) and pass(first_check, is_past)
  if result then
    return result
  end
  for _, line in ipairs(passed) do
    count_start(line.rate, line.start, line.booking)
  end
  if is_recorded then
    start(records .. name, attempt)
    if are_all_heard then
      publish_state(name, generation, 'running')
    end
  end
end

-- Calls `visit` for each item with the position of its checks and its own, after it has read the item's group.
local function for_each_item(visit)
  local at = 4
  while at <= #ARGV do
    attempt, ttl, stage, holds_permits = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3] == '1'
    is_booked, is_recorded = ARGV[at + 4] == '1', ARGV[at + 5] == '1'
    priority, check_count = ARGV[at + 6], tonumber(ARGV[at + 7])
    local first_check = at + 8
    at = first_check
    for _ = 1, check_count do
      at = at + 1 + width[ARGV[at]]
    end
    local last = at + 4 * ARGV[at]
    at = at + 1
    while at <= last do
      needs = ARGV[at + 3] ~= '' and ARGV[at + 3] or needs
      visit(first_check, at)
      at = at + 4
    end
  end
end

-- All counts in one read.
local names, seen = {}, {}
for_each_item(function()
  local list = pairs_of(needs)
  for i = 1, #list, 2 do
    if not seen[list[i]] then
      seen[list[i]] = true
      names[#names + 1] = list[i]
    end
  end
end)
read_counts(names)

local reply = {}
local index = 0
for_each_item(function(first_check, at)
  name, token, ticket = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
  fields_removed = nil
  local is_done, result = pcall(admit, first_check) -- an item that meets an error must not take the others with it
  if not is_done and fields_removed then
    put_away(fields_removed, type(result) == 'table' and result.err or tostring(result))
  end
  if not is_done or result then
    reply[#reply + 1] = index
    reply[#reply + 1] = is_done and result or 'failed'
  end
  index = index + 1
end)
write_rates()
write_permits()
return reply
