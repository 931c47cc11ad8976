-- Concurrency slots. The hash `held` counts the slots that are taken at each limit, the hash `slots` has who took them (token
-- of an entry: its needs), the sorted set `limit:<name>` who waits there (members by their tickets), and the hash `waiting`
-- the limits where somebody may wait. Needs are text, `<name> <max> <name> <max> ...`, sorted by name.
--
-- A slot belongs to the entry that stands for its execution: whoever removes the entry gives its slots back, so that the
-- lease of the entry is the lease of its slots, and a worker that lost one has lost the other. All slots are taken or none:
-- who waits holds nothing, so nothing can deadlock. Who waits does so at the first limit that is full, lowest ticket
-- first; a slot that is given back goes to the head at once.
--
-- Counts are read once and written once a script, by `write_slots`, which every script that includes this ends with.
local limits, held, slots, waiting = prefix .. 'limit:', prefix .. 'held', prefix .. 'slots', prefix .. 'waiting'
local taken, changed_limits, acquired = {}, {}, {}
local mayAnybodyWait = redis.call('EXISTS', waiting) == 1

-- Waiters that may be moved on in vain in one script, and bytes that may be woken; the rest is left to a scheduler.
local budget, woken_bytes = 16, 1048576

local parsed = {}
-- The pairs of a text of needs: names at odd positions, numbers at even ones.
local function pairs_of(needs)
  local list = parsed[needs]
  if not list then
    list = {}
    for name, max in string.gmatch(needs, '(%S+) (%S+)') do
      list[#list + 1] = name
      list[#list + 1] = tonumber(max)
    end
    parsed[needs] = list
  end
  return list
end

local function read_counts(names)
  if #names > 0 then
    for i, count in ipairs(redis.call('HMGET', held, unpack(names))) do
      taken[names[i]] = taken[names[i]] or tonumber(count or 0)
    end
  end
end

local function taken_at(name)
  if not taken[name] then
    read_counts({ name })
  end
  return taken[name]
end

local function take_or_give(name, by)
  taken[name] = taken_at(name) + by
  changed_limits[name] = true
end

local function take_slots(token, needs)
  local list = pairs_of(needs)
  for i = 1, #list, 2 do
    take_or_give(list[i], 1)
  end
  acquired[#acquired + 1] = token
  acquired[#acquired + 1] = needs
end

local function write_slots()
  local counts, gone = {}, {}
  for name in pairs(changed_limits) do
    if taken[name] > 0 then
      counts[#counts + 1] = name
      counts[#counts + 1] = taken[name]
    else
      gone[#gone + 1] = name
    end
  end
  if #counts > 0 then
    redis.call('HSET', held, unpack(counts))
  end
  if #gone > 0 then
    redis.call('HDEL', held, unpack(gone))
  end
  if #acquired > 0 then
    redis.call('HSET', slots, unpack(acquired))
  end
end

-- The limit at which an execution with this ticket has to wait; nil when there is room for it everywhere. Nobody passes
-- those who wait with lower tickets.
local function full_limit(needs, ticket)
  local list = pairs_of(needs)
  for i = 1, #list, 2 do
    local name = list[i]
    if taken_at(name) >= list[i + 1] then
      return name
    end
    if mayAnybodyWait then
      local head = redis.call('ZRANGE', limits .. name, 0, 0, 'WITHSCORES')
      if head[2] and tonumber(head[2]) < ticket then
        return name
      end
    end
  end
end

local function wait_at(name, ticket, member, needs)
  mayAnybodyWait = true
  redis.call('HSET', waiting, name, '1')
  redis.call('ZADD', limits .. name, digits(ticket), member)
  redis.call('HSET', parked_at(member), 'l', name, 'n', needs)
end

-- Gives what is free at a limit to those who wait there.
local function serve_waiters(name)
  local limit = limits .. name
  while true do
    local head = redis.call('ZRANGE', limit, 0, 0, 'WITHSCORES')
    local member, ticket = head[1], tonumber(head[2])
    if not member then
      redis.call('HDEL', waiting, name)
      return
    end
    local needs = redis.call('HGET', parked_at(member), 'n')
    local list = pairs_of(needs or '')
    for i = 1, #list, 2 do
      if list[i] == name and taken_at(name) >= list[i + 1] then
        return
      end
    end
    if budget <= 0 or woken_bytes <= 0 then
      redis.call('ZADD', prefix .. 'wakes', 0, name)
      redis.pcall('PUBLISH', prefix .. 'wake', digits(now))
      return
    end
    redis.call('ZREM', limit, member)
    local next = needs and full_limit(needs, ticket)
    if next then
      budget = budget - 1
      wait_at(next, ticket, member, needs)
    elseif needs then
      local moving = unpark(member)
      woken_bytes = woken_bytes - string.len(moving.m)
      moving.h = '1'
      take_slots(enqueue('f', moving), needs)
    else
      budget = budget - 1 -- whoever waited is gone without a trace
    end
  end
end

-- What an entry holds; nil when nothing.
local function held_by(token)
  return redis.call('EXISTS', slots) == 1 and redis.call('HGET', slots, token) or nil
end

-- Lets the entry that comes in the place of another one have its slots.
local function hand_on_slots(from, to, needs)
  redis.call('HDEL', slots, from)
  redis.call('HSET', slots, to, needs)
end

-- Gives back what the entries held that are being removed.
local function release_slots(tokens)
  if #tokens == 0 or redis.call('EXISTS', slots) == 0 then
    return
  end
  local freed, names, holders = {}, {}, {}
  for i, needs in ipairs(redis.call('HMGET', slots, unpack(tokens))) do
    if needs and not holders[tokens[i]] then
      holders[tokens[i]] = true -- the same entry may be named twice
      holders[#holders + 1] = tokens[i]
      local list = pairs_of(needs)
      for at = 1, #list, 2 do
        local name = list[at]
        if not freed[name] then
          names[#names + 1] = name
        end
        freed[name] = (freed[name] or 0) + 1
      end
    end
  end
  if #holders == 0 then
    return
  end
  redis.call('HDEL', slots, unpack(holders))
  read_counts(names)
  for _, name in ipairs(names) do
    take_or_give(name, -freed[name])
  end
  if mayAnybodyWait then
    for i, isWaiting in ipairs(redis.call('HMGET', waiting, unpack(names))) do
      if isWaiting then
        serve_waiters(names[i])
      end
    end
  end
end
