-- The server's clock, in milliseconds. It is the only one that is compared across machines.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- Numbers leave Lua as plain digits: tostring() gives 1.79e+15, and so does the embedded server for a number that is an
-- argument of a command. %d overflows where Lua is built for 32 bits.
local function digits(number)
  return string.format('%.0f', number)
end
