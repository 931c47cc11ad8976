-- Claims executions whose tasks have limits: takes ownership of those that may run now, and makes the others wait.
-- KEYS  work, front, schedule
-- ARGV  prefix, worker, consumer, then groups of items that agree in most:
--         attempt, ttl (ms), once ('' | '1' the awaited winner of a debounce | '2' cooldown and debounce are behind it | '3'
--         the rate too, for this attempt),
--         holds ('1': they were woken with their slots), '1' when they have records, number of gates, then for each gate,
--         in the order they are passed:
--           'cooldown', name, window (ms)         'debounce', name, settle (ms)
--           'rate', name, max, per (ms), 'delay' | 'drop'
--         number of items, then for each item: key (or id without a record), token, ticket of one without a record,
--         needs of slots ('' as the item before, '-' none)
-- Reply for each item that was not admitted: index (from 0), then 'refused' (no longer ours), 'parked' (it waits; its entry
--         is gone), 'failed' (left to its lease), or the kind of the gate that dropped it (it is ours to settle)
-- The call may be repeated when its answer was lost, also by the connection itself: who was admitted before passes again.
--@include now
--@include memory
local prefix, worker, consumer = ARGV[1], ARGV[2], ARGV[3]
local runs = prefix .. 'run:'
local schedule = KEYS[3]
--@include events
--@include entries
--@include moves
--@include slots

local began = digits(now)
-- A debounce whose winner was lost is forgotten after so long beyond its time.
local FORGOTTEN_AFTER = 86400000

-- The group and the item at hand.
local attempt, ttl, once, holds, isRecorded, gate_count
local name, token, ticket, needs, placement

local function member()
  return (isRecorded and 'k' or 'l') .. name
end

local function generation()
  placement = placement or redis.call('HGET', runs .. name, 'g')
  return placement
end

-- One placement, through all its attempts and deliveries: its key and generation, or its id and due time.
local function identity()
  return member() .. ' ' .. (isRecorded and generation() or digits(math.floor(ticket / 1000)))
end

-- Where it stands in line: by its generation if it has one.
local function place_in_line()
  return isRecorded and tonumber(generation()) or ticket
end

local function wait_until(time, passed, debounce, rate)
  local moving = read_entry(token)
  if not moving then
    return 'refused' -- it was deleted by hand
  end
  remove(token)
  moving.o, moving.q, moving.u = passed, debounce, rate
  schedule_at(schedule, math.max(now, time), park(moving, name, 'scheduled'))
  if isRecorded and listened then
    changed(name, generation(), 'scheduled')
  end
  return 'parked'
end

-- A winner that is not parked any more finds out when it is claimed.
local function supersede(winner, kept)
  if redis.call('ZREM', schedule, winner) == 1 then
    local moving = unpark(winner)
    if moving.k then
      close(moving.k, kept, 'cancelled', 'y', 'dropped by its debounce')
    end
  end
end

-- Starts and bookings of the rates in this script: read once, written once.
local rates = {}
local function rate_of(key, per)
  local rate = rates[key]
  if not rate then
    redis.call('ZREMRANGEBYSCORE', key, '-inf', digits(now - per))
    rate = { count = redis.call('ZCARD', key), starts = {}, lasts = 0 }
    rates[key] = rate
  end
  return rate
end

local function write_rate(key, rate)
  if #rate.starts > 0 then
    redis.call('ZADD', key, unpack(rate.starts))
    rate.starts = {}
    if redis.call('PTTL', key) < rate.lasts then
      redis.call('PEXPIRE', key, digits(rate.lasts))
    end
  end
end

-- Each gate answers with nothing, to pass, or with what became of the item.
local gates = {
  cooldown = function(at)
    if once ~= '' then
      return
    end
    local key, own = prefix .. 'cooldown:' .. ARGV[at], identity()
    if not redis.call('SET', key, own, 'NX', 'PX', ARGV[at + 1]) and redis.call('GET', key) ~= own then
      return 'cooldown'
    end
  end,

  debounce = function(at)
    if once == '2' or once == '3' then
      return
    end
    local key, own = prefix .. 'debounce:' .. ARGV[at], member()
    local pending = redis.call('HMGET', key, 'winner', 'ticket', 'ttl')
    local winner = pending[1]
    if once == '1' and (not winner or winner == own) then
      redis.call('DEL', key)
      return
    elseif winner and tonumber(pending[2]) > place_in_line() then
      return 'debounce'
    end
    if winner and winner ~= own then
      supersede(winner, pending[3])
    end
    redis.call('HSET', key, 'winner', own, 'ticket', digits(place_in_line()), 'ttl', ttl)
    redis.call('PEXPIRE', key, ARGV[at + 1] + FORGOTTEN_AFTER)
    -- Also when that time is past: at the end of the stream it comes after all that was submitted meanwhile.
    return wait_until(math.floor(place_in_line() / 1000) + ARGV[at + 1], '1', ARGV[at])
  end,

  rate = function(at)
    local key, max, per = prefix .. 'rate:' .. ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
    local rate, start = rate_of(key, per), identity() .. ' ' .. attempt
    if once == '3' or not isRecorded and redis.call('ZSCORE', key, start) then
      return
    end
    local time = now
    if rate.count >= max then
      write_rate(key, rate)
      local oldest = redis.call('ZREVRANGE', key, max - 1, max - 1, 'WITHSCORES')[2]
      time = oldest and math.max(now, oldest + per) or now
      if time > now and ARGV[at + 3] == 'drop' then
        return 'rate'
      end
    end
    rate.count = rate.count + 1
    rate.lasts = math.max(rate.lasts, time - now + per)
    table.insert(rate.starts, digits(time))
    table.insert(rate.starts, start)
    if #rate.starts >= 512 then
      write_rate(key, rate)
    end
    return time > now and wait_until(time, '3', nil, attempt .. ' ' .. ARGV[at]) or nil
  end,
}
local width = { cooldown = 2, debounce = 2, rate = 4 }

local function take_or_wait()
  if not isRecorded and redis.call('HEXISTS', slots, token) == 1 then
    return
  end
  local full = full_limit(needs, mayAnybodyWait and place_in_line() or 0)
  if not full then
    return take_slots(token, needs)
  end
  local moving = read_entry(token)
  if not moving then
    return 'refused'
  end
  remove(token)
  moving.o = '3'
  wait_at(full, place_in_line(), park(moving, name, 'queued'), needs)
  return 'parked'
end

-- Whether the entry still is the execution's, and so ours; then whether it was admitted before.
local function is_owned()
  if isRecorded then
    local record = redis.call('HMGET', runs .. name, 'e', 's', 'g')
    placement = record[3]
    return record[1] == token, record[2] == 'running'
  end
  return #redis.call('XCLAIM', stream_of(token), 'workers', consumer, 0, string.sub(token, 2), 'JUSTID') == 1
end

local function start()
  if attempt == '1' then -- the usual case, one field less
    redis.call('HSET', runs .. name, 's', 'running', 'k', worker, 'b', began)
  else
    redis.call('HSET', runs .. name, 's', 'running', 'k', worker, 'b', began, 'a', attempt)
  end
  if listened then
    changed(name, generation(), 'running')
  end
end

-- Passes the gates that begin at `at`; answers with what stopped it.
local function pass(at)
  for _ = 1, gate_count do
    local answer = gates[ARGV[at]](at + 1)
    if answer then
      return answer
    end
    at = at + 1 + width[ARGV[at]]
  end
  if needs ~= '-' then
    return take_or_wait()
  end
end

-- Answers with what became of the item if it may not run. One that meets an error must not take the others with it.
local function admit(first_gate)
  local isOwned, wasAdmitted = is_owned()
  if not isOwned then
    remove(token)
    release_slots({ token })
    redis.call('SREM', prefix .. 'superseded', token)
    return 'refused'
  end
  local answer = not holds and not wasAdmitted and pass(first_gate)
  if answer then
    return answer
  end
  if isRecorded then
    start()
  end
end

-- Calls `visit` for each item, after the group was read, with the position of its gates and of itself.
local function each(visit)
  local at = 4
  while at <= #ARGV do
    attempt, ttl, once, holds = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3] == '1'
    isRecorded, gate_count = ARGV[at + 4] == '1', tonumber(ARGV[at + 5])
    local first_gate = at + 6
    at = first_gate
    for _ = 1, gate_count do
      at = at + 1 + width[ARGV[at]]
    end
    local last = at + 4 * ARGV[at]
    at = at + 1
    while at <= last do
      needs = ARGV[at + 3] ~= '' and ARGV[at + 3] or needs
      visit(first_gate, at)
      at = at + 4
    end
  end
end

-- All counts in one read.
local names, seen = {}, {}
each(function()
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
each(function(first_gate, at)
  name, token, ticket = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
  local isDone, answer = pcall(admit, first_gate)
  if not isDone or answer then
    reply[#reply + 1] = index
    reply[#reply + 1] = isDone and answer or 'failed'
  end
  index = index + 1
end)
for key, rate in pairs(rates) do
  write_rate(key, rate)
end
write_slots()
return reply
