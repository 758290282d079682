// Names of functions that namespaces, classes, templates and lambdas are part of.
namespace geo {
template <class T> struct Box {
  T low, high;
  T width() const { return high - low; }
  static T ratio(T x) { return x / (x - 3); }
};
namespace {
int scale(int x) { return Box<int>::ratio(x) + 1; }
} // namespace
struct Shape {
  __attribute__((noinline)) int area(int x);
};
int Shape::area(int x) {
  Box<int> box{1, x};
  auto part = [&](int k) { return box.width() / (k - 7); };
  return part(x) + scale(x);
}
} // namespace geo

extern "C" int run(int x) {
  geo::Shape shape;
  return shape.area(x) + 1;
}
