-- Permits of concurrency limits. One hash counts the permits that are taken at each limit, another says which entry
-- took them (its token and its needs). Each limit has a sorted set of its waiters, members by their tickets, and a hash
-- has the names of the limits that may have any. Needs are text, `<name> <max> <name> <max> ...`, sorted by name.
--
-- A permit belongs to the entry that stands for its execution. Whatever removes the entry releases its permits, so the
-- lease of the entry is the lease of its permits: a worker that has lost one has lost the other. An execution takes all
-- of its permits or none. A waiter holds nothing, so nothing can deadlock. It waits at the first limit that is full,
-- the lowest ticket first, and a permit that is released goes to the head of the line at once.
--
-- A script reads each count once, and writes the counts once, with `write_permits`. Every script that includes this
-- file ends with it.
local limits, permits_taken = prefix .. KEY.limit, prefix .. KEY.permits_taken
local permits, waiting = prefix .. KEY.permits, prefix .. KEY.waiting
local taken, changed_limits, acquired = {}, {}, {}
local may_have_waiters = redis.call('EXISTS', waiting) == 1
--@include pauses

-- How much this script may still do for waiters: moves, moves in vain, and bytes. The rest is left to a scheduler.
local wakes_left, vain_wakes_left, wake_bytes_left = BATCH_ITEMS, VAIN_WAKES, BATCH_BYTES

local parsed = {}
-- Returns the pairs of a text of needs: names at odd positions, numbers at even ones.
local function pairs_of(needs)
  local list = parsed[needs]
  if not list then
    list = {}
    for name, max in string.gmatch(needs, '(%S+) (%d+)') do
      list[#list + 1] = name
      list[#list + 1] = tonumber(max)
    end
    parsed[needs] = list
  end
  return list
end

local function read_counts(names)
  if #names > 0 then
    for i, count in ipairs(redis.call('HMGET', permits_taken, unpack(names))) do
      taken[names[i]] = taken[names[i]] or tonumber(count or 0) or 0
    end
  end
end

local function taken_at(name)
  if not taken[name] then
    read_counts({ name })
  end
  return taken[name]
end

local function change_count(name, by)
  taken[name] = taken_at(name) + by
  changed_limits[name] = true
end

local function take_permits(token, needs)
  local list = pairs_of(needs)
  for i = 1, #list, 2 do
    change_count(list[i], 1)
  end
  acquired[#acquired + 1] = token
  acquired[#acquired + 1] = needs
end

local function write_permits()
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
    redis.call('HSET', permits_taken, unpack(counts))
  end
  if #gone > 0 then
    redis.call('HDEL', permits_taken, unpack(gone))
  end
  if #acquired > 0 then
    redis.call('HSET', permits, unpack(acquired))
  end
end

-- Returns the limit at which an execution with this ticket has to wait, or nil when there is room for it everywhere.
-- No execution passes a waiter with a lower ticket.
local function full_limit(needs, ticket)
  local list = pairs_of(needs)
  for i = 1, #list, 2 do
    local name = list[i]
    if taken_at(name) >= list[i + 1] then
      return name
    end
    if may_have_waiters then
      local head = redis.call('ZRANGE', limits .. name, 0, 0, 'WITHSCORES')
      if head[2] and tonumber(head[2]) < ticket then
        return name
      end
    end
  end
end

local function wait_at(name, ticket, member, needs)
  may_have_waiters = true
  redis.call('HSET', waiting, name, '1')
  redis.call('ZADD', limits .. name, digits(ticket), member)
  redis.call('HSET', parked_at(member), PARKED.limit, name, PARKED.needs, needs)
end

-- Gives the free permits of a limit to its waiters. In the line of a pause, everybody is served once the pause is over: they
-- need no permits yet, and pass their limits when they are claimed.
local function serve_waiters(name)
  local limit = limits .. name
  if is_line_of_pause(name) and is_paused(name) and redis.call('EXISTS', limit) == 1 then
    return
  end
  while true do
    local head = redis.call('ZRANGE', limit, 0, 0, 'WITHSCORES')
    local member, ticket = head[1], tonumber(head[2])
    if not member then
      redis.call('HDEL', waiting, name)
      return
    end
    local needs = redis.pcall('HGET', parked_at(member), PARKED.needs)
    needs = type(needs) == 'string' and needs -- an error if a key of another type is in its place
    local list = pairs_of(needs or '')
    for i = 1, #list, 2 do
      if list[i] == name and taken_at(name) >= list[i + 1] then
        return
      end
    end
    if wakes_left <= 0 or vain_wakes_left <= 0 or wake_bytes_left <= 0 then
      redis.call('ZADD', prefix .. KEY.wakes, 0, name)
      redis.pcall(publish_command(), KEYS[#KEYS] .. CHANNEL.wake, digits(now))
      return
    end
    redis.call('ZREM', limit, member)
    local next_limit = needs and full_limit(needs, ticket)
    if next_limit then
      vain_wakes_left = vain_wakes_left - 1
      wait_at(next_limit, ticket, member, needs)
    elseif needs then
      local moving, generation = unpark(member)
      if moving[ENTRY.message] then
        wakes_left = wakes_left - 1
        wake_bytes_left = wake_bytes_left - string.len(moving[ENTRY.message])
        if needs == '' then
          enqueue(STREAM.front, moving)
        else
          moving[ENTRY.holds_permits] = '1'
          take_permits(enqueue(STREAM.front, moving), needs)
        end
      else
        vain_wakes_left = vain_wakes_left - 1
        if generation then
          end_lost(moving[ENTRY.key])
        end
      end
    else
      vain_wakes_left = vain_wakes_left - 1 -- the waiter is gone without a trace
    end
  end
end

-- Returns the permits that an entry holds, as needs, or nil when it holds none.
local function permits_of(token)
  return redis.call('EXISTS', permits) == 1 and redis.call('HGET', permits, token) or nil
end

-- Hands the permits of an entry on to the entry that takes its place.
local function hand_on_permits(from, to, needs)
  redis.call('HDEL', permits, from)
  redis.call('HSET', permits, to, needs)
end

-- Releases the permits of entries that are being removed.
local function release_permits(tokens)
  if #tokens == 0 or redis.call('EXISTS', permits) == 0 then
    return
  end
  local released, names, holders = {}, {}, {}
  for i, needs in ipairs(redis.call('HMGET', permits, unpack(tokens))) do
    if needs and not holders[tokens[i]] then
      holders[tokens[i]] = true -- the same entry may be named twice
      holders[#holders + 1] = tokens[i]
      local list = pairs_of(needs)
      for at = 1, #list, 2 do
        local name = list[at]
        if not released[name] then
          names[#names + 1] = name
        end
        released[name] = (released[name] or 0) + 1
      end
    end
  end
  if #holders == 0 then
    return
  end
  redis.call('HDEL', permits, unpack(holders))
  read_counts(names)
  for _, name in ipairs(names) do
    change_count(name, -released[name])
  end
  if may_have_waiters then
    for i, is_waited_at in ipairs(redis.call('HMGET', waiting, unpack(names))) do
      if is_waited_at then
        serve_waiters(names[i])
      end
    end
  end
end
