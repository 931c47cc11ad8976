-- What `clear` removes, and how. ARGV begins with: prefix, watermark (a generation), the last id on `work` when it was taken.
local watermark, last_work = tonumber(ARGV[2]), ARGV[3]

local function id_parts(id)
  local ms, counter = string.match(id, '^(%d+)%-?(%d*)$')
  return tonumber(ms), tonumber(counter) or 0
end

local function is_after(id, last)
  local ms, counter = id_parts(id)
  local last_ms, last_counter = id_parts(last)
  return ms > last_ms or (ms == last_ms and counter > last_counter)
end

-- Whether a placement came before the watermark: by its generation, or by the id of the entry on `work` that it began as.
-- Who tells neither was moved by another version of docket, and counts as older.
local function is_older(placed)
  if not placed then
    return true
  elseif string.find(placed, '-', 1, true) then
    return not is_after(placed, last_work)
  end
  return tonumber(placed) < watermark
end

-- Whether a debounce waits for this one. Without a record it is known by its id, which its message begins with, after
-- the task's name.
local function is_winner(winner, moving)
  if moving.k then
    return winner == 'k' .. moving.k
  end
  return winner and string.find(string.sub(moving.m or '', 1, 640), string.sub(winner, 2), 1, true)
end

-- Ends what was taken from wherever it was.
local function dismiss(moving)
  if moving.q and is_winner(redis.call('HGET', prefix .. 'debounce:' .. moving.q, 'winner'), moving) then
    redis.call('DEL', prefix .. 'debounce:' .. moving.q)
  end
  if moving.k then
    close(moving.k, ttl_of(moving.m), 'cancelled', 'y', 'cleared')
  end
end
