-- Rates. One sorted set has the starts that a rate has counted, by time. Another has the bookings: executions that could not
-- start, by the times at which they come again.
--
-- Only starts count. An execution is counted as it is claimed, not as it is booked, so no period has more than `max`
-- starts, however late its bookings come. Bookings keep the order: a new execution starts only when it leaves room for
-- all of them, and otherwise goes to the end of the line. One that comes late, or finds the period full, gets its place
-- back by its ticket. Bookings behind it that are due no later than it are removed: these executions find the period full
-- when they come, and then look for a place in the same way. So a late line moves on one execution at a time, as they
-- come.
--
-- An execution starts a little after its claim, and the delay varies. A margin on the period keeps starts from coming closer
-- together than the period allows.
--
-- A start or booking is named '<member> <generation, or due time without a record> <attempt>'. Each rate is read once in
-- a script, and its starts are written once, with `write_rates`.
local rates = {}

-- Also removes starts that are too old to count, a bounded number in each script. None of them is counted.
local function open_rate(name, max, period)
  local rate = rates[name]
  if not rate then
    local per = period + math.min(RATE_MARGIN_MS, math.floor(period * RATE_MARGIN))
    local starts, bookings = prefix .. KEY.rate .. name, prefix .. KEY.booked .. name
    local aged = redis.call('ZCOUNT', starts, '-inf', digits(now - per))
    local removed = math.min(aged, 2 * BATCH_ITEMS)
    if removed > 0 then
      redis.call('ZREMRANGEBYRANK', starts, 0, removed - 1)
    end
    rate = {
      name = name, max = max, per = per, starts = starts, bookings = bookings, added = {},
      count = redis.call('ZCARD', starts) - aged + removed,
      booked = redis.call('ZCARD', bookings),
    }
    rates[name] = rate
  end
  return rate
end

local function write_starts(rate)
  if #rate.added > 0 then
    redis.call('ZADD', rate.starts, unpack(rate.added))
    rate.added = {}
    if redis.call('PTTL', rate.starts) < rate.per then
      redis.call('PEXPIRE', rate.starts, digits(rate.per))
    end
  end
end

local function write_rates()
  for _, rate in pairs(rates) do
    write_starts(rate)
  end
end

-- Removes the count of a start that did not take place. Returns whether it still counted: then its place is free. Older
-- versions kept bookings here, too.
local function uncount_start(rate, start)
  local at = redis.call('ZSCORE', rate.starts, start)
  if at then
    redis.call('ZREM', rate.starts, start)
    if tonumber(at) > now - rate.per then
      rate.count = rate.count - 1
      return true
    end
  end
  return false
end

-- Returns the time of a booking, or nil when there is none.
local function booked_at(rate, start)
  return rate.booked > 0 and tonumber(redis.call('ZSCORE', rate.bookings, start) or nil) or nil
end

local function remove_booking(rate, start)
  rate.booked = rate.booked - redis.call('ZREM', rate.bookings, start)
end

-- Counts a start. Bookings that are a period or more older than its own were passed over, or their executions are gone.
local function count_start(rate, start, booking)
  rate.count = rate.count + 1
  rate.added[#rate.added + 1] = digits(now)
  rate.added[#rate.added + 1] = start
  if booking then
    remove_booking(rate, start)
    local passed = rate.booked > 0 and redis.call('ZCOUNT', rate.bookings, '-inf', digits(booking - rate.per)) or 0
    if passed > 0 then
      rate.booked = rate.booked
        - redis.call('ZREMRANGEBYRANK', rate.bookings, 0, math.min(passed, BATCH_ITEMS) - 1)
    end
  end
end

-- Returns the number of bookings that are due.
local function count_due(rate)
  return rate.booked > 0 and redis.call('ZCOUNT', rate.bookings, '-inf', digits(now)) or 0
end

local function ticket_of_start(start)
  local placed = tonumber(string.match(start, '(%d+) %d+$'))
  return string.sub(start, 1, 1) == LETTER.recorded and placed or placed * 1000
end

-- Returns the rank of the first booking behind this start, among those of the ranks from `low` up to `high`, else `high`.
local function rank_behind(rate, start, low, high)
  local ticket = ticket_of_start(start)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if ticket_of_start(redis.call('ZRANGE', rate.bookings, middle, middle)[1]) > ticket then
      high = middle
    else
      low = middle + 1
    end
  end
  return low
end

-- Returns the number of due bookings that an execution lets go first. With a booking, it has waited for its turn. If its
-- place was taken, it lets older ones go first; if it is new, all of them.
local function count_due_ahead(rate, start, booking, is_new)
  if booking or rate.booked == 0 then
    return 0
  end
  return is_new and count_due(rate) or rank_behind(rate, start, 0, count_due(rate))
end

-- Whether an execution may start now. A new one also leaves room for the bookings that are not due yet.
local function has_room(rate, start, booking, is_new)
  local ahead = is_new and rate.booked or count_due_ahead(rate, start, booking, is_new)
  return rate.count + ahead < rate.max
end

-- Books an execution that may not start now, and returns the time at which it comes again: as soon as the starts and the
-- bookings ahead of it leave room.
local function book(rate, start, booking, is_new)
  write_starts(rate)
  if booking then
    remove_booking(rate, start)
  end
  local due = count_due(rate)
  local rank = is_new and rate.booked or rank_behind(rate, start, due, rate.booked)
  local ahead, due_ahead = rank - due, count_due_ahead(rate, start, booking, is_new)
  local at
  if ahead >= rate.max then
    at = redis.call('ZRANGE', rate.bookings, rank - rate.max, rank - rate.max, 'WITHSCORES')[2] + rate.per
  elseif ahead + due_ahead < rate.max then
    local last = digits(rate.max - ahead - due_ahead - 1)
    at = (redis.call('ZREVRANGE', rate.starts, last, last, 'WITHSCORES')[2] or now) + rate.per
  else
    at = now + rate.per
  end
  local overtaken = rate.booked > rank and redis.call('ZCOUNT', rate.bookings, '-inf', digits(at)) - rank or 0
  if overtaken > 0 then
    rate.booked = rate.booked
      - redis.call('ZREMRANGEBYRANK', rate.bookings, rank, rank + math.min(overtaken, BATCH_ITEMS) - 1)
  end
  redis.call('ZADD', rate.bookings, digits(at), start)
  rate.booked = rate.booked + 1
  local kept = at - now + rate.per + BOOKING_FORGOTTEN_MS
  if redis.call('PTTL', rate.bookings) < kept then
    redis.call('PEXPIRE', rate.bookings, digits(kept))
  end
  return at
end
