-- SPDX-License-Identifier: Apache-2.0
local spark = require "repl.spark"
local tables = require "repl.table"

describe("a table", function()
  it("is aligned by columns of a terminal", function()
    assert.equal("n  name      x\n" .. "1  ascii     a\n" .. "2  日本      b\n" .. "3  кот       c\n", (tables.render{
      heads = { "n", "name    ", "x" }, rows = { { "1", "ascii", "a" }, { "2", "日本", "b" }, { "3", "кот", "c" } } }))
  end)

  it("has numbers at the right, and no blanks at the end", function()
    assert.equal("  n  x\n 10\n100  y\n", (tables.render{ heads = { "n", "x" }, rows = { { "10", "" }, { "100", "y" } }, right = { true } }))
  end)

  it("fits into a width, the widest columns cut", function()
    local text = tables.render{ heads = { "a", "b" }, rows = { { ("x"):rep(100), ("日"):rep(50) } }, width = 40 }
    for line in text:gmatch("[^\n]+") do assert.is_true(tables.columns(line) <= 40, line) end
    assert.is_truthy(text:find("…", 1, true))
  end)

  it("cuts between characters", function()
    assert.same({ "日…", 3 }, { tables.cut("日本語", 4) })
    assert.same({ "日本語", 6 }, { tables.cut("日本語", 6) })
    assert.equal(2, tables.columns("\255\254"))
  end)

  it("takes rows of nothing", function()
    assert.equal("a\n", (tables.render{ heads = { "a" }, rows = {} }))
  end)
end)

describe("numbers for people", function()
  it("have units", function()
    assert.equal("1,234,567", spark.count(1234567))
    assert.equal("0", spark.count(0))
    assert.equal("-1,000", spark.count(-1000))
    assert.equal("999", spark.count(999))
    assert.equal("1.50 µs", spark.duration(1500))
    assert.equal("12.3 ms", spark.duration(12.34e6))
    assert.equal("100 s", spark.duration(100e9))
    assert.equal("0 ns", spark.duration(0))
  end)

  it("become bars", function()
    assert.equal("▁ █▄", spark.bars{ 1, 0, 8, 4 })
    assert.equal("  ", spark.bars{ 0, 0 })
    assert.equal("██", spark.bar(1, 10, 20))
    assert.equal("", spark.bar(0, 10, 20))
    assert.equal("█", spark.bar(1, 1e9, 20))
  end)
end)
