-- Writes what became of executions, each only if its entry is still there: an entry that is gone means that the lease
-- ran out and somebody else owns the execution (or has settled it), so nothing of the stale owner may be written.
-- Acknowledging comes first: it frees memory, and so lifts an out-of-memory refusal for the writes that follow.
-- KEYS  work, front, schedule
-- ARGV  prefix, number of items, their tokens, then in the same order groups of one kind:
--         'completed', ttl (ms), count, then count times: key
--         'returned',  ttl, count, then count times: key, result
--         'ended',     ttl, count, then count times: key, state, error, error line
--         'again',     '', count, then count times: key ('' without a record), 'w' | 'f' | '+n' | '@n' (which stream, n ms
--                      from now, or at n), message, due time to keep ('' the new one), deliveries ('' none), charges
--                      ('' none), id (of an execution without a record)
-- Reply indexes (from 0) of the items that were fenced off, then the texts of errors met while writing
--@include now
local prefix, count = ARGV[1], tonumber(ARGV[2])
local runs = prefix .. 'run:'
--@include events
--@include entries
--@include schedule

local fenced = {}

-- Whether the i-th entry was still there, and so its outcome may be written. The usual case, all of them were, costs two
-- calls per stream instead of two per entry.
local owned = {}
do
  local ids = { w = {}, f = {} }
  for i = 1, count do
    local token = ARGV[2 + i]
    local list = ids[string.sub(token, 1, 1)]
    list[#list + 1] = string.sub(token, 2)
  end
  local all = true
  for letter, list in pairs(ids) do
    if #list > 0 then
      all = redis.call('XACK', stream_of(letter), 'workers', unpack(list)) == #list and all
    end
  end
  for letter, list in pairs(ids) do
    if all and #list > 0 then
      redis.call('XDEL', stream_of(letter), unpack(list))
    end
  end
  for i = 1, count do
    owned[i] = all or remove(ARGV[2 + i])
    if not owned[i] then
      fenced[#fenced + 1] = i - 1
    end
  end
end

local ended = digits(now)

local function close(key, ttl, state, ...)
  local run = runs .. key
  local generation = listened and redis.call('HGET', run, 'g')
  if ttl == '0' then
    redis.call('DEL', run)
  else
    redis.call('HSET', run, 's', state, 'c', ended, 'e', '', ...)
    redis.call('PEXPIRE', run, ttl)
  end
  if generation then
    changed(key, generation, state)
  end
end

local function park(key, id, where, message, due, deliveries, charges)
  local time = tonumber(string.sub(where, 2))
  local score = string.sub(where, 1, 1) == '@' and math.max(now, time) or now + time
  local member = key ~= '' and 'k' .. key or 'l' .. id
  local parked = parked_at(member)
  redis.call('HSET', parked, 'm', message, 'w', due ~= '' and due or digits(score))
  if key ~= '' then
    redis.call('HSET', parked, 's', 'scheduled', 'e', '')
  end
  if deliveries ~= '' then
    redis.call('HSET', parked, 'pd', deliveries, 'pc', charges ~= '' and charges or '0')
  end
  redis.call('ZADD', KEYS[3], digits(score), member)
  wake(KEYS[3], score)
end

local function queue(key, letter, message, due, deliveries, charges)
  local fields = { 'm', message }
  local function add(name, value)
    if value ~= '' then
      fields[#fields + 1] = name
      fields[#fields + 1] = value
    end
  end
  add('k', key)
  add('w', due)
  add('d', deliveries)
  add('c', charges)
  local id = redis.call('XADD', stream_of(letter), '*', unpack(fields))
  if key ~= '' then
    redis.call('HSET', runs .. key, 's', 'queued', 'e', letter .. id)
  end
end

local write = {
  completed = { 1, function(ttl, at)
    close(ARGV[at], ttl, 'completed')
  end },
  returned = { 2, function(ttl, at)
    close(ARGV[at], ttl, 'completed', 'r', ARGV[at + 1])
  end },
  ended = { 4, function(ttl, at)
    close(ARGV[at], ttl, ARGV[at + 1], 'x', ARGV[at + 2], 'y', ARGV[at + 3])
  end },
  again = { 7, function(_, at)
    local key, where = ARGV[at], ARGV[at + 1]
    local isQueued = where == 'w' or where == 'f'
    if isQueued then
      queue(key, where, ARGV[at + 2], ARGV[at + 3], ARGV[at + 4], ARGV[at + 5])
    else
      park(key, ARGV[at + 6], where, ARGV[at + 2], ARGV[at + 3], ARGV[at + 4], ARGV[at + 5])
    end
    if listened and key ~= '' then
      changed(key, redis.call('HGET', runs .. key, 'g'), isQueued and 'queued' or 'scheduled')
    end
  end },
}

-- Nothing is rolled back when a write fails, and the entries are gone: one bad record must not take the others with it.
local errors = {}
local item, at = 1, 3 + count
while at <= #ARGV do
  local ttl, size = ARGV[at + 1], tonumber(ARGV[at + 2])
  local width, apply = write[ARGV[at]][1], write[ARGV[at]][2]
  at = at + 3
  for _ = 1, size do
    if owned[item] then
      local isWritten, problem = pcall(apply, ttl, at)
      if not isWritten then
        errors[#errors + 1] = type(problem) == 'table' and problem.err or tostring(problem)
      end
    end
    item = item + 1
    at = at + width
  end
end
return { fenced, errors }
